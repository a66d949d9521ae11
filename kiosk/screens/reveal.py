"""The recovery key, for as long as the countdown lasts; then only the way to show it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from kiosk.clock import Deadline
from kiosk.models import Device, Ending
from kiosk.screens.base import ENDING_HINTS, KioskScreen
from kiosk.widgets.countdown import Countdown
from kiosk.widgets.key_hints import Hint, KeyHints
from kiosk.widgets.key_view import KeyView
from kiosk.widgets.prose import Prose

if TYPE_CHECKING:
    from kiosk.secret import SecretBuffer


class AfterReveal(Enum):
    """What the person wants once the key is hidden."""

    SHOW_AGAIN = auto()
    BACK = auto()


class RevealScreen(KioskScreen[AfterReveal]):
    """Shows an opened key and wipes it. While the key stands there its countdown is the clock, not idleness."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "hide", show=False),
        Binding("left", "turn(-1)", show=False),
        Binding("right", "turn(1)", show=False),
    ]
    step = 4
    # Somebody who copies 24 characters to paper presses no key.
    idle_counts = False
    hints: Sequence[Hint] = (("Space", "Hide the key"), ("Esc", "Back"))
    help_text = (
        "Write the 24 characters down, group by group, or read them to somebody who types them. Digits and letters have"
        " different colours. A zero has a stroke through it, the letter O has none.\n\n"
        "On the locked Mac, click the question mark in the password field, or type a wrong password three times, and"
        " choose to reset it with the recovery key. Type the letters as capitals; the dashes come by themselves.\n\n"
        "The key vanishes when the time is over, also while you read this. Press Enter to see it again."
    )

    class Hidden(Message):
        """The key is off the screen and wiped."""

        def __init__(self, release_id: str, how: Ending) -> None:
            super().__init__()
            self.release_id = release_id
            self.how = how

    def __init__(
        self,
        device: Device,
        key: SecretBuffer,
        deadline: Deadline,
        *,
        release_id: str = "",
        warning: str = "",
        masked: bool = False,
    ) -> None:
        """Takes ``key`` over and wipes it at ``deadline`` at the latest; ``masked`` shows one group at a time."""
        super().__init__()
        self._release_id = release_id
        self._warning = warning
        self._masked = masked
        if masked:
            self.hints = (("← →", "Group"), *self.hints)
        self._device = device
        self._key = key
        self._deadline = deadline
        self._shown = True

    def content(self) -> Iterable[Widget]:
        name, serial = self._device.name or "(no name)", self._device.serial or "unknown"
        yield Prose(f"Recovery key of {name}", classes="headline")
        yield Prose(f"{self._device.model}, serial number {serial}".lstrip(", "), classes="label")
        yield KeyView()
        yield Countdown(self._deadline, "Vanishes in {time}")
        yield Prose("Write it down. Check each group before you walk back.", id="advice")
        if self._warning:
            yield Prose(self._warning, classes="caution")

    def on_mount(self) -> None:
        view = self.query_one(KeyView)
        view.show(self._key, masked=self._masked)
        if not view.usual:
            self.query_one("#advice", Prose).say(
                "This key has an unusual form. Copy it exactly as it stands in the line above."
            )

    def tick(self) -> None:
        if self._shown:
            self.query_one(Countdown).tick()
            if self._deadline.passed():
                self._hide(Ending.COUNTDOWN)

    def action_turn(self, by: int) -> None:
        self.query_one(KeyView).turn(by)

    def action_hide(self) -> None:
        self._hide(Ending.HIDDEN)

    def action_enter(self) -> None:
        if not self._shown:
            self.answer(AfterReveal.SHOW_AGAIN)

    def action_escape(self) -> None:
        self._hide(Ending.HIDDEN)
        self.answer(AfterReveal.BACK)

    def forget(self, how: Ending) -> None:
        self._hide(how)

    def _hide(self, how: Ending) -> None:
        if not self._shown:
            return
        self._shown = False
        self.idle_counts = True
        self._key.wipe()
        self.query_one(KeyView).hide()
        self.query_one(Countdown).visible = False
        why = "The time is over: the" if how is Ending.COUNTDOWN else "The"
        self.query_one("#advice", Prose).say(f"{why} key is wiped. Press Enter to show it again.")
        self.query_one(KeyHints).show([("Enter", "Show it again"), ("Esc", "Back"), *ENDING_HINTS])
        self.post_message(self.Hidden(self._release_id, how))
