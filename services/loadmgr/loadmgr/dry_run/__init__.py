"""Dry runs: the decision in a virtual garage, faster than time. Pure: no I/O, no clock."""
