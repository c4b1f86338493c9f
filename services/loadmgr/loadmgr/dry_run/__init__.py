"""Dry runs: decisions in a virtual garage, faster than time. Only ``question`` does I/O."""
