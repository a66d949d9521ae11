"""Plays the phone in the demo, so that one terminal is enough for a whole visit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Resize
from textual.screen import Screen

from kiosk.i18n import _
from kiosk.screens.base import KioskScreen
from kiosk.visit.demo_phone import DemoPerson
from kiosk.widgets.key_hints import KeyHints
from kiosk.widgets.prose import Prose


class SimulatedPhoneScreen(Screen[DemoPerson | None], inherit_bindings=False):
    """Asks who signs in on the simulated phone. Dismissed with None when nobody does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("enter", "approve", show=False),
        Binding("escape", "close", show=False),
    ]
    AUTO_FOCUS = ""

    def __init__(self, people: Sequence[DemoPerson]) -> None:
        super().__init__()
        self._people = tuple(people)
        self._chosen = 0

    def compose(self) -> ComposeResult:
        with Vertical(id="phone"):
            yield Prose(_("Simulated phone"), classes="headline")
            yield Prose(_("Only in the demo. Who is signing in?"), classes="label")
            yield Prose(self._list(), id="phone-people")
        yield KeyHints([(_("Enter"), _("Approve sign-in")), ("↑ ↓", _("Move")), (_("Esc"), _("Put the phone away"))])

    def on_resize(self, event: Resize) -> None:
        self.update_classes(KioskScreen.classes_for(event.size))

    def action_move(self, by: int) -> None:
        self._chosen = min(max(self._chosen + by, 0), len(self._people) - 1)
        self.query_one("#phone-people", Prose).say(self._list())

    def action_approve(self) -> None:
        self.dismiss(self._people[self._chosen])

    def action_close(self) -> None:
        self.dismiss(None)

    def _list(self) -> str:
        # Only the rows around the chosen one: the organisation has more people than 24 rows hold.
        size = 14
        first = max(0, min(self._chosen - size // 2, len(self._people) - size))
        return "\n".join(
            f"{'▶' if place == self._chosen else ' '} {person.name[:24]:<24}  {person.description[:44]}"
            for place, person in list(enumerate(self._people))[first : first + size]
        )
