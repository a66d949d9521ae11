"""Shows where and with which code to sign in: address, QR code, code in large type, time left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import ClassVar

from rich.cells import chop_cells, set_cell_size
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

from kiosk.clock import Deadline
from kiosk.i18n import N_, _
from kiosk.screens.base import KioskScreen
from kiosk.visit.answers import Renewal, SignInOutcome
from kiosk.widgets.big_text import BigText
from kiosk.widgets.countdown import Countdown
from kiosk.widgets.key_hints import KeyHint
from kiosk.widgets.prose import Prose, height
from kiosk.widgets.qr_code import QrCode
from kiosk.wording import DEVICE_CODE_HELP, SENT_A_CODE, code_notice

_OPEN = N_("On your phone or another device, open")
_SCAN = N_("or scan the QR code, then enter the code")
_ENTER = N_("then enter the code")
# Between words and QR code; the least width of the words beside it, and the lines for an address there at most.
_BESIDE = 3
_LEAST_WORDS = 36
_ADDRESS_LINES = 2
# A blank line above the large code; the plain code, the countdown, and a blank line above each.
_AROUND_LARGE = 1
_CODE_AND_TIME = 4


class DeviceCodeScreen(KioskScreen[SignInOutcome]):
    """Waits for the other device. The code has its own deadline, so idleness does not count."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f9", "phone", show=False)]
    step = 1
    key_hints: Sequence[KeyHint] = (("Esc", N_("Cancel")),)
    idle_counts = False
    help_text = DEVICE_CODE_HELP

    class PhoneWanted(Message):
        """The person asked for the simulated phone of the demo."""

    def __init__(
        self,
        user_code: str,
        address: str,
        deadline: Deadline,
        *,
        answers: Callable[[], bool] = lambda: True,
        renewal: Renewal | None = None,
        phone: bool = False,
    ) -> None:
        """``answers`` returns whether the sign-in service does. ``renewal`` says why it is a new code, if it is one.

        ``phone`` offers the simulated phone of the demo.
        """
        super().__init__()
        self._user_code = user_code
        self._address = address
        self._deadline = deadline
        self._answers = answers
        self._renewal = renewal
        self._notice = Prose(classes="label")
        self._notice.display = False
        self._noticed = ""
        self._phone = phone
        self._code: QrCode | None = None
        if phone:
            self.key_hints = (("Esc", N_("Cancel")), ("F9", N_("Simulated phone")))

    def content(self) -> Iterable[Widget]:
        with Horizontal(id="sign-in"):
            with Vertical(id="sign-in-words"):
                yield Prose(_(_OPEN), classes="headline")
                yield Prose(id="address", classes="value")
                yield Prose(id="then", classes="label")
                yield BigText(self._user_code, self.charset)
                yield Prose(" ".join(self._user_code), classes="value", id="user-code")
                yield self._notice
                for text, kind in self._remarks():
                    yield Prose(text, classes=kind)
                yield Countdown(self._deadline, _("Code valid for {time}"))
            if self.charset.has_half_blocks:
                self._code = QrCode(self._address)
                yield self._code

    def _remarks(self) -> list[tuple[str, str]]:
        remarks = [(_("Enter it only if you are at this kiosk."), "caution"), (_(SENT_A_CODE), "caution")]
        if self._phone:
            remarks.append((_("Demo: press F9 for the simulated phone."), "demo"))
        return remarks

    def on_mount(self) -> None:
        self._say_notice()
        self._lay_out(self.app.size)

    def _say_notice(self) -> bool:
        """Say that the service does not answer, for as long as it does not; else why it is a new code.

        Returns whether this has changed.
        """
        words = code_notice(self._renewal, answers=self._answers())
        if words == self._noticed:
            return False
        self._noticed = words
        self._notice.say(words)
        self._notice.display = bool(words)
        return True

    def on_resize(self, event: Resize) -> None:
        super().on_resize(event)
        self._lay_out(event.size)

    def _lay_out(self, size: Size) -> None:
        """Show the QR code and the large code where they leave room for all else, and shorten the address if needed.

        A phone reads a long address from the QR code, which no one would type; so the large code goes before it.
        """
        page, code = self.page(size), self._code
        whole = page.width - _BESIDE
        beside = whole - code.cells if code else 0
        scannable = code is not None and beside >= _LEAST_WORDS and code.lines <= page.height
        for scanned in (True, False) if scannable else (False,):
            width = beside if scanned else whole
            lines = chop_cells(self._address.removeprefix("https://"), width)
            enough = min(_ADDRESS_LINES, len(lines)) if scanned else len(lines)
            rooms = {large: page.height - self._rest(width, scanned=scanned, large=large) for large in (True, False)}
            large = rooms[True] >= enough
            if rooms[large] >= enough:
                break
        if len(lines) > (room := max(1, rooms[large])):
            lines = [*lines[: room - 1], set_cell_size(lines[room - 1], width - 1) + "…"]
        self.query_one("#address", Prose).say("\n".join(lines))
        self.query_one("#then", Prose).say(_(_SCAN if scanned else _ENTER))
        self.query_one(BigText).display = large
        if code:
            code.display = scanned

    def _rest(self, width: int, *, scanned: bool, large: bool) -> int:
        """Return how many lines everything but the address takes at this width."""
        texts = [_(_OPEN), _(_SCAN if scanned else _ENTER), *(text for text, _kind in self._remarks())]
        texts += [self._noticed] * bool(self._noticed)
        big = self.query_one(BigText).lines(width) + _AROUND_LARGE if large else 0
        return sum(height(text, width) for text in texts) + big + _CODE_AND_TIME

    def tick(self) -> None:
        self.query_one(Countdown).tick()
        if self._say_notice():
            self._lay_out(self.app.size)
        if self._deadline.passed():
            self.answer(SignInOutcome.EXPIRED)

    def why_not(self, key: str) -> str:
        if key == "enter" and self.fits:
            return _("This screen continues automatically once you have signed in.")
        return super().why_not(key)

    @property
    def idle_keys(self) -> Collection[str]:
        return () if self._phone else ("f9",)

    def action_escape(self) -> None:
        self.answer(SignInOutcome.CANCELLED)

    def action_phone(self) -> None:
        if self._phone:
            self.post_message(self.PhoneWanted())
