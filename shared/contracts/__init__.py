"""What travels on the bus: one module per noun, pydantic only.

Unknown fields are ignored, ``None`` is unknown and never zero, times are UTC, units are suffixes.
A field may be added with a default; anything else is a new version of the topic beside the old one.
"""
