"""Regular expressions from a configuration: checked when they are read, and none that could keep the broker busy."""

from __future__ import annotations

import re
import warnings
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

LONGEST_INPUT = 200
_LONGEST_PATTERN = 500
# Ways in which the engine may try to divide the longest input before it gives up; ten million take about a second.
_MOST_WAYS = 10_000_000
_REPEATS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}


class Pattern:
    """A regular expression that the whole of a text has to match."""

    def __init__(self, text: object) -> None:
        """Raises ValueError, in words for the operator."""
        if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST_PATTERN:
            raise ValueError(f"expected a regular expression of 1 to {_LONGEST_PATTERN} characters")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self._compiled = re.compile(text)
                ways = _ways(_parser.parse(text))
        except (re.error, RecursionError, OverflowError, Warning) as error:
            raise ValueError(f"expected a regular expression: {error}") from None
        if ways > _MOST_WAYS:
            raise ValueError("expected a regular expression with fewer ways to match: no repetition inside another")
        self.text = text

    def fits(self, text: str) -> bool:
        """Whether the whole text, which is cut to ``LONGEST_INPUT`` characters before, has this form."""
        return self._compiled.fullmatch(text[:LONGEST_INPUT]) is not None

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


def _ways(parsed: Any) -> int:
    """A bound on how many ways there are to go through an expression, which is what backtracking may try."""
    ways = 1
    for operator, argument in parsed:
        if operator in _REPEATS:
            fewest, most, inner = argument
            most = min(int(most), LONGEST_INPUT)
            ways *= (max(most - fewest, 0) + 1) * _ways(inner) ** most
        elif operator is _constants.BRANCH:
            ways *= sum(map(_ways, argument[1]))
        elif operator is _constants.SUBPATTERN:
            ways *= _ways(argument[3])
        elif operator in {_constants.ASSERT, _constants.ASSERT_NOT}:
            ways *= _ways(argument[1])
        elif operator is _constants.ATOMIC_GROUP:
            ways *= _ways(argument)
        elif operator is _constants.GROUPREF_EXISTS:
            ways *= sum(_ways(inner) for inner in argument[1:] if inner is not None)
        if ways > _MOST_WAYS:
            return _MOST_WAYS + 1
    return ways
