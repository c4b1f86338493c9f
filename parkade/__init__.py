"""The ``parkade`` command: one process with everything, or one service of it."""
