"""The base of all screens: top line, one thing in the middle, key hints, and one answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from kiosk.clock import Deadline
from kiosk.i18n import N_, _
from kiosk.look.glyphs import Charset
from kiosk.widgets.key_hints import KeyHint, KeyHints
from kiosk.widgets.prose import Prose
from kiosk.widgets.top_line import TopLine
from kiosk.wording import only_with_a_key

Answer = TypeVar("Answer")

SMALLEST = Size(80, 24)
# The page in kiosk.tcss: from which width on it is wide, the room for text in it, and its lines at most.
_WIDE = 116
_PAGE, _WIDE_PAGE = 77, 113
_PAGE_LINES = 28
TOLD_SECONDS = 5.0
_LOOK_SECONDS = 0.5
FUNCTION_KEY = re.compile(r"f\d+")
_WITH_A_KEY = frozenset({"f2", "f3", "f4", "f6"})
ENDING_HINTS: tuple[KeyHint, ...] = (("F1", N_("Help")), ("F10", N_("Lock")))


class KioskScreen(Screen[None], Generic[Answer], inherit_bindings=False):
    """A screen that the flow shows and that gives one ``Answer``.

    The answer is a future, not Textual's dismissal: the screen stays in view until the next one replaces it. So no
    empty frame flashes in between, and a screen on top (help) need not be removed first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", show=False),
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
    # The function keys that act on every such screen, or on this one, without a binding of its own.
    app_keys: frozenset[str] = frozenset({"f1", "f8", "f10"})
    # The hints that are still true in a window that is too small for the rest.
    keys_when_small: frozenset[str] = frozenset({"Esc", "F8", "F10"})

    def __init__(self) -> None:
        super().__init__()
        self._warned = self._told = ""
        self._told_until: Deadline | None = None
        self._told_timer: Timer | None = None
        self.answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def compose(self) -> ComposeResult:
        yield TopLine(self.organisation, step=self.step, note=self.note, band=self.band)
        # Directly on the screen: each container around a widget draws it once more.
        with Vertical(id="content"):
            yield from self.content()
        yield KeyHints(self._hints())

    def hint(self, key_hints: Sequence[KeyHint]) -> None:
        """Show other hints, given marked."""
        self.key_hints = key_hints
        self.query_one(KeyHints).show(self._hints())

    def _hints(self) -> list[KeyHint]:
        """Return the hints of keys that act, in the language of the visit, including the names of keys."""
        hints = [*self.key_hints, *self.ending_hints]
        return [(_(key), _(label)) for key, label in hints if self.fits or key in self.keys_when_small]

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
            self._show_line()

    def tell(self, words: str, until: Deadline) -> None:
        """Show a remark in the place of the warning, which goes before it; empty to remove it."""
        if words or self._told:
            self._told, self._told_until = words, until
            self._show_line()
            # A timer of its own, because nothing else ticks before a visit.
            if words and not self._told_timer:
                self._told_timer = self.set_interval(_LOOK_SECONDS, self.untell)

    def untell(self) -> None:
        """Remove the remark when its time is over."""
        if self._told_timer and self._told_until and (self._told_until.passed() or not self._told):
            self._told_timer.stop()
            self._told_timer = None
            self._told = ""
            self._show_line()

    def _show_line(self) -> None:
        line, words = self._line("warning"), self._warned or self._told
        line.say(words)
        line.styles.margin = (0, 0, self.query_one(KeyHints).size.height, 0)
        line.display = bool(words)

    def why_not(self, key: str) -> str:
        """Return in one line why a key does nothing now. Empty if it acts, or if nobody expects it to."""
        name = key.upper()
        if not self.fits or not FUNCTION_KEY.fullmatch(key) or (self._binds(key) and key not in self.idle_keys):
            return ""
        if key in _WITH_A_KEY:
            return only_with_a_key(name)
        return _("{key} has no use on this screen.").format(key=name)

    @property
    def idle_keys(self) -> Collection[str]:
        """The keys of this screen that do nothing in its present state."""
        return ()

    def _binds(self, key: str) -> bool:
        of_app = self.app_keys if self.help_text else self.app_keys - {"f1"}
        return key in of_app or key in self._bindings.key_to_bindings

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key acts. On a screen that is too small to show what it would do, only Esc does."""
        return self.fits or action == "escape"

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
        return {"-too-small": not large_enough, "-tall": size.height >= 30, "-wide": size.width >= _WIDE}

    def page(self, size: Size) -> Size:
        """Return the room for text on a terminal of this size."""
        hints = self.query_one(KeyHints).get_content_height(size, size, size.width - 4)
        width = _WIDE_PAGE if size.width >= _WIDE else _PAGE
        # The top line, and the blank one below it.
        return Size(width, min(size.height - hints - 2, _PAGE_LINES))

    def on_resize(self, event: Resize) -> None:
        """Show the screen whole or not at all: half a code or half a key would be read as the whole."""
        self.update_classes(self.classes_for(event.size))
        self.query_one(KeyHints).show(self._hints())
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
