"""Conformance with the test cases of the Open Charge Alliance. A package, so that its tests share
one running Parkade."""
