"""The time left, in figures, as a bar, and in words when it is short; always computed from the deadline."""

from __future__ import annotations

import math

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from kiosk.clock import Deadline
from kiosk.i18n import N_, _

_WORDS_CELLS = 22
_GAP = "  "
_SOON_SECONDS = 20
# Shortest first. A warning stays true until the next one replaces it.
_WARNINGS = ((20, N_("Less than 20 seconds left")), (60, N_("Less than a minute left")))
_GIVEN = N_("Time extended")
_GIVEN_SECONDS = 5
# A shorter bar says nothing; the warning is left out instead.
_LEAST_BAR_CELLS = 10


def minutes(seconds: float) -> str:
    """Return seconds as ``4:59``, rounded up, so that 0:00 means over."""
    whole = math.ceil(seconds)
    return f"{whole // 60}:{whole % 60:02}"


class Countdown(Widget):
    """One line, redrawn only when its text changes."""

    COMPONENT_CLASSES = {"countdown--bar", "countdown--rest"}  # noqa: RUF012
    DEFAULT_CSS = """
    Countdown { height: 1; }
    """

    def __init__(self, deadline: Deadline, words: str) -> None:
        """``words`` contains ``{time}`` for the time left."""
        super().__init__()
        self._deadline = deadline
        self._words = words
        self._total = max(1.0, deadline.left())
        self._said = ""
        # While more time is left than this, the line says that time was added.
        self._said_until = math.inf

    def tick(self) -> None:
        """Redraw if the time left has changed."""
        said = minutes(self._deadline.left())
        if said != self._said:
            self._said = said
            self.set_class(self._deadline.left() <= min(_SOON_SECONDS, self._total / 4), "-soon")
            self.refresh()

    def extend_to(self, deadline: Deadline) -> None:
        """Count down to another deadline."""
        if deadline != self._deadline:
            self._deadline = deadline
            self._total = max(self._total, deadline.left())
            self._said_until = deadline.left() - _GIVEN_SECONDS
            self._said = ""
            self.tick()

    def restart(self, deadline: Deadline) -> None:
        """Count down to the deadline of something else."""
        self._deadline = deadline
        self._total = max(1.0, deadline.left())
        self._said = ""
        self.tick()

    @property
    def warning(self) -> str:
        """The warning that time is short or was added; empty otherwise."""
        left = self._deadline.left()
        if left > self._said_until:
            return _(_GIVEN)
        for seconds, words in _WARNINGS:
            if left <= seconds < self._total:
                return _(words)
        return ""

    def render_line(self, y: int) -> Strip:
        left = self._deadline.left()
        words = (self._words.format(time=minutes(left)) + _GAP).ljust(_WORDS_CELLS)
        room = max(0, self.size.width - len(words))
        warning = f"  {self.warning}" if self.warning else ""
        if room - len(warning) < _LEAST_BAR_CELLS:
            warning = ""
        room -= len(warning)
        full = min(room, math.ceil(room * left / self._total))
        return Strip(
            [
                Segment(words, self.rich_style),
                Segment("━" * full, self.get_component_rich_style("countdown--bar")),
                Segment("─" * (room - full), self.get_component_rich_style("countdown--rest")),
                Segment(warning, self.rich_style),
            ]
        )
