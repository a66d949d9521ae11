"""The base of all screens: top line, one thing in the middle, key hints, and one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

from kiosk.i18n import N_, _
from kiosk.look.glyphs import Charset
from kiosk.widgets.key_hints import KeyHint, KeyHints
from kiosk.widgets.prose import Prose
from kiosk.widgets.top_line import TopLine

Answer = TypeVar("Answer")

SMALLEST = Size(80, 24)
ENDING_HINTS: tuple[KeyHint, ...] = (("F1", N_("Help")), ("F10", N_("Lock")))


class KioskScreen(Screen[None], Generic[Answer], inherit_bindings=False):
    """A screen that the flow shows and that gives one ``Answer``.

    The answer is a future, not Textual's dismissal: the screen stays in view until the next one replaces it. So no
    empty frame flashes in between, and a screen on top (help) need not be removed first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go", show=False),
        Binding("escape", "escape", show=False),
    ]
    AUTO_FOCUS = ""

    organisation: str = ""
    note: str = ""
    band: str = ""
    charset: Charset = Charset.HALF_BLOCKS
    step: int = 0
    key_hints: Sequence[KeyHint] = ()
    ending_hints: Sequence[KeyHint] = ENDING_HINTS
    help_text: str = ""
    # False on screens where people have reason to press no key; these have a clock of their own.
    idle_counts: bool = True

    def __init__(self) -> None:
        super().__init__()
        self._warned = ""
        self.answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def compose(self) -> ComposeResult:
        yield TopLine(self.organisation, step=self.step, note=self.note, band=self.band)
        # Directly on the screen: each container around a widget draws it once more.
        with Vertical(id="content"):
            yield from self.content()
        yield KeyHints(self.spelled([*self.key_hints, *self.ending_hints]))

    @staticmethod
    def spelled(key_hints: Sequence[KeyHint]) -> list[KeyHint]:
        """Return marked hints in the language of the visit, including the names of keys."""
        return [(_(key), _(label)) for key, label in key_hints]

    def content(self) -> Iterable[Widget]:
        """Return the widgets of this screen."""
        return ()

    def answer(self, answer: Answer) -> None:
        """Give the answer. Later answers are ignored."""
        if not self.answered.done():
            self.answered.set_result(answer)

    def tick(self) -> None:
        """Check deadlines. Called a few times a second during a visit, even while another screen is on top."""

    def forget(self) -> None:
        """Remove everything secret from the screen at once: the visit has ended and is wiped."""

    def warn(self, words: str) -> None:
        """Show a warning above the key hints; empty to remove it."""
        if words != self._warned:
            self._warned = words
            warning = self._line("warning")
            warning.say(words)
            warning.display = bool(words)

    def action_go(self) -> None:
        """Handle Enter, unless the screen is too small to show what it would do."""
        if self.fits:
            self.action_enter()

    def action_enter(self) -> None:
        """Take the next step. Called for Enter."""

    def action_escape(self) -> None:
        """Go back. Called for Esc."""

    @property
    def fits(self) -> bool:
        """Whether the terminal is large enough to show everything."""
        size = self.app.size
        return size.width >= SMALLEST.width and size.height >= SMALLEST.height

    @staticmethod
    def classes_for(size: Size) -> dict[str, bool]:
        """Return the style classes for a terminal of this size."""
        large_enough = size.width >= SMALLEST.width and size.height >= SMALLEST.height
        return {"-too-small": not large_enough, "-tall": size.height >= 30, "-wide": size.width >= 110}

    def on_resize(self, event: Resize) -> None:
        """Show the screen whole or not at all: half a code or half a key would be read as the whole."""
        self.update_classes(self.classes_for(event.size))
        if self.fits:
            return
        self._line("too-small").say(
            _(
                "This window is too small.\n\n"
                "It has {width} x {height} characters and needs {least_width} x {least_height}.\n"
                "Make the window larger to continue."
            ).format(
                width=event.size.width,
                height=event.size.height,
                least_width=SMALLEST.width,
                least_height=SMALLEST.height,
            )
        )

    def _line(self, name: str) -> Prose:
        """Return a line that most screens never show. Made on demand, because every widget costs start-up time."""
        for line in self.query(f"#{name}").results(Prose):
            return line
        line = Prose(id=name)
        self.mount(line)
        return line
