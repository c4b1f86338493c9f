"""The REST surface of design.md, section 9: each module one noun, functions thin."""
