"""The recovery key, for as long as its time lasts; then only the way to have it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from kiosk.answers import AfterReveal
from kiosk.i18n import N_, _
from kiosk.models import Ending
from kiosk.screens.base import ENDING_HINTS, KioskScreen
from kiosk.showing import Showing
from kiosk.widgets.countdown import Countdown
from kiosk.widgets.key_hints import Hint, KeyHints
from kiosk.widgets.key_view import KeyView
from kiosk.widgets.prose import Prose
from kiosk.words import REVEAL_HELP, name, serial

_SHOWN_HINTS: Sequence[Hint] = ((N_("Space"), N_("Hide the key")), ("Esc", N_("Back")))
_TURN_HINT: Hint = ("← →", N_("Group"))
_HIDDEN_HINTS: Sequence[Hint] = (("Enter", N_("Show it again")), ("Esc", N_("Back")))


class RevealScreen(KioskScreen[AfterReveal]):
    """Draws a showing. While the key stands there its countdown is the clock, not idleness."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "turn_over", show=False),
        Binding("left", "turn(-1)", show=False),
        Binding("right", "turn(1)", show=False),
    ]
    step = 4
    # Somebody who copies 24 characters to paper presses no key.
    idle_counts = False
    help_text = REVEAL_HELP

    def __init__(self, showing: Showing, *, warning: str = "", masked: bool = False) -> None:
        """``masked`` shows one group at a time."""
        super().__init__()
        self._showing = showing
        self._warning = warning
        self._masked = masked
        self._drawn: tuple[bool, bool] | None = None

    def content(self) -> Iterable[Widget]:
        device = self._showing.device
        yield Prose(_("Recovery key of {name}").format(name=name(device)), classes="headline")
        numbered = _("serial number {serial}").format(serial=serial(device))
        yield Prose(f"{device.model}, {numbered}".lstrip(", "), classes="label")
        yield KeyView()
        yield Countdown(self._showing.deadline, _("Vanishes in {time}"))
        yield Prose(id="advice")
        if self._warning:
            yield Prose(self._warning, classes="caution")

    def on_mount(self) -> None:
        self._draw()

    def tick(self) -> None:
        self._draw()
        self.query_one(Countdown).tick()

    def action_turn(self, by: int) -> None:
        self.query_one(KeyView).turn(by)

    def action_turn_over(self) -> None:
        """Hide the key, or show it again within its time."""
        if self._showing.visible:
            self._showing.hide()
        elif self.fits:
            self._showing.show()
        self._draw()

    def action_enter(self) -> None:
        if self._showing.over:
            self.answer(AfterReveal.FETCH)
        elif not self._showing.visible:
            self._showing.show()
            self._draw()

    def action_escape(self) -> None:
        self._showing.finish(Ending.HIDDEN)
        self._draw()
        self.answer(AfterReveal.BACK)

    def forget(self) -> None:
        self._draw()

    def _draw(self) -> None:
        """Follow the showing, wherever its state was changed."""
        state = (self._showing.visible, self._showing.over)
        if state == self._drawn:
            return
        self._drawn = state
        self.idle_counts = not self._showing.visible
        view, countdown = self.query_one(KeyView), self.query_one(Countdown)
        if self._showing.key is not None and self._showing.visible:
            view.show(self._showing.key, masked=self._masked)
            hints = [_TURN_HINT, *_SHOWN_HINTS] if self._masked else _SHOWN_HINTS
        else:
            view.hide()
            hints = _HIDDEN_HINTS
        countdown.visible = self._showing.visible
        self.query_one("#advice", Prose).say(self._advice(view))
        self.query_one(KeyHints).show(self.spelled([*hints, *ENDING_HINTS]))

    def _advice(self, view: KeyView) -> str:
        if self._showing.over:
            return _("The time is over: the key is wiped. Press Enter to fetch it again.")
        if not self._showing.visible:
            return _("The key is hidden. Press Enter to show it again.")
        if not view.usual:
            return _("This key has an unusual form. Copy it exactly as it stands in the line above.")
        return _("Write it down. Check each group before you walk back.")
