"""How many examples hypothesis tries: few in each test run, and many with --examples, as ``make soak`` does."""

from __future__ import annotations

times = 1


def few(count: int) -> int:
    """Return how many examples to try where ``count`` are tried in each test run."""
    return count * times
