"""The terminal, and the programs that may be recording it."""
