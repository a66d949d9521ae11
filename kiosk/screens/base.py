"""The frame that all screens share: top line, one thing in the middle, key hints, and one answer at the end."""

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
    """A screen that is shown by the flow and gives it one ``Answer``.

    The answer is a future and not Textual's dismissal: the screen stays in view until the next one replaces it, so that
    no empty frame flashes in between, and whatever is laid over it (help) does not have to be removed first.
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
    # Screens on which people rightly press no key have a clock of their own instead.
    idle_counts: bool = True

    def __init__(self) -> None:
        super().__init__()
        self._warned = ""
        self.answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def compose(self) -> ComposeResult:
        yield TopLine(self.organisation, step=self.step, note=self.note, band=self.band)
        # Straight on the screen: whatever is drawn is drawn once more for every container around it.
        with Vertical(id="content"):
            yield from self.content()
        yield KeyHints(self.spelled([*self.key_hints, *self.ending_hints]))

    @staticmethod
    def spelled(key_hints: Sequence[KeyHint]) -> list[KeyHint]:
        """Marked hints in the language of the visit, names of keys included."""
        return [(_(key), _(label)) for key, label in key_hints]

    def content(self) -> Iterable[Widget]:
        """The one thing of this screen."""
        return ()

    def answer(self, answer: Answer) -> None:
        """Give the answer; later ones are ignored."""
        if not self.answered.done():
            self.answered.set_result(answer)

    def tick(self) -> None:
        """Called a few times a second while a visit lasts, also while something lies over this screen."""

    def forget(self) -> None:
        """Take everything secret off the screen, at once: the visit has ended and is wiped."""

    def warn(self, words: str) -> None:
        """Say something above the key hints; no words take it away."""
        if words != self._warned:
            self._warned = words
            warning = self._line("warning")
            warning.say(words)
            warning.display = bool(words)

    def action_go(self) -> None:
        """Enter, unless it would do something that cannot be seen."""
        if self.fits:
            self.action_enter()

    def action_enter(self) -> None:
        """The one next step."""

    def action_escape(self) -> None:
        """One step back."""

    @property
    def fits(self) -> bool:
        """Whether the terminal is large enough for everything to be seen whole."""
        size = self.app.size
        return size.width >= SMALLEST.width and size.height >= SMALLEST.height

    @staticmethod
    def classes_for(size: Size) -> dict[str, bool]:
        """What the style sheet is told of a terminal of this size."""
        large_enough = size.width >= SMALLEST.width and size.height >= SMALLEST.height
        return {"-too-small": not large_enough, "-tall": size.height >= 30, "-wide": size.width >= 110}

    def on_resize(self, event: Resize) -> None:
        """Show the screen whole or not at all: half a code or half a key would be read as the whole."""
        self.update_classes(self.classes_for(event.size))
        if self.fits:
            return
        self._line("too-small").say(
            _(
                "This window is too small.\n\nIt has {width} x {height} characters; {least_width} x {least_height} are"
                " needed.\nMake the window larger to go on."
            ).format(
                width=event.size.width,
                height=event.size.height,
                least_width=SMALLEST.width,
                least_height=SMALLEST.height,
            )
        )

    def _line(self, name: str) -> Prose:
        """Words that most screens never show; made when they are needed, as every widget costs start-up time."""
        for line in self.query(f"#{name}").results(Prose):
            return line
        line = Prose(id=name)
        self.mount(line)
        return line
