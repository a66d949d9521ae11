"""Regular expressions from a configuration, matched by RE2 in time that grows with the text and not faster."""

from __future__ import annotations

LONGEST_INPUT = 200


class Pattern:
    """A regular expression that a whole text has to match."""

    def __init__(self, source: object) -> None:
        """Compile an expression. Raises ValueError in words for the operator."""
        # Imported here because the sandbox, which passes this table on, works without RE2.
        import re2

        if not isinstance(source, str) or not source.strip():
            raise ValueError("expected a regular expression")
        options = re2.Options()
        # RE2 would write to standard error as well.
        options.log_errors = False
        try:
            self._compiled = re2.compile(source, options)
        except re2.error as error:
            reason = error.args[0].decode(errors="replace")
            raise ValueError(f"expected a regular expression in RE2's syntax: {reason}") from None
        self.source = source

    def fits(self, text: str) -> bool:
        """Whether the first ``LONGEST_INPUT`` characters of a text match from end to end."""
        return self._compiled.fullmatch(text[:LONGEST_INPUT]) is not None

    def __str__(self) -> str:
        return self.source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    def __repr__(self) -> str:
        return f"Pattern({self.source!r})"
