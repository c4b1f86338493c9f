"""Moments are seconds of UTC; these two stand for none."""

NEVER = float("-inf")
"""It has not happened."""
ALWAYS = float("inf")
"""It will not happen."""
