"""The terminal, and what may be recording it."""
