"""Shows the link and the words for a phone, and how far the person on it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar

from rich.cells import chop_cells
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

from kiosk.i18n import N_, _
from kiosk.screens.base import KioskScreen
from kiosk.sign_in_messages import SignInView, Stage
from kiosk.visit.answers import Renewal
from kiosk.visit.phone_progress import PhoneProgress
from kiosk.widgets.big_text import BigText
from kiosk.widgets.countdown import Countdown
from kiosk.widgets.key_hints import KeyHint
from kiosk.widgets.prose import Prose, height
from kiosk.widgets.qr_code import QrCode
from kiosk.wording import PHONE_SIGN_IN_HELP, link_notice, no_scheme, phone_stage, word_pair

_SCAN = N_("Scan the QR code with your phone, or open this address on it:")
_OPEN = N_("Open this address on your phone:")
_WORDS = N_("The page asks for these words:")
_ESC: Sequence[KeyHint] = (("Esc", N_("Cancel")),)
_WITH_PHONE: Sequence[KeyHint] = (*_ESC, ("F9", N_("Simulated phone")))
# Between words and QR code, and the least width of the words beside it.
_BESIDE = 3
_LEAST_WORDS = 36
# Of a heading and the blank line below it; of the two words and the blank lines around them; of the countdown and the
# blank line above it; of the blank line above the large code.
_HEADING = 2
_PAIR = 3
_TIME = 2
_AROUND_LARGE = 1
# The blank line below the address.
_BELOW_ADDRESS = 1


class PhoneSignInScreen(KioskScreen[None]):
    """Waits for the phone. Each stage has its own deadline, so idleness does not count. Answered by Esc alone."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f9", "phone", show=False)]
    step = 1
    key_hints = _ESC
    idle_counts = False
    help_text = PHONE_SIGN_IN_HELP

    class PhoneWanted(Message):
        """The person asked for the simulated phone of the demo."""

    def __init__(self, sign_in: PhoneProgress, *, renewal: Renewal | None = None, phone: bool = False) -> None:
        """``renewal`` says why it is a new link, if it is one. ``phone`` offers the simulated phone of the demo."""
        super().__init__()
        self._sign_in = sign_in
        self._renewal = renewal
        self._phone = phone
        self._seen = sign_in.view
        self._address = self._code = self._noticed = ""
        self._qr: QrCode | None = None
        if phone:
            self.key_hints = _WITH_PHONE

    def content(self) -> Iterable[Widget]:
        self._read(self._sign_in.view)
        with Horizontal(id="sign-in"):
            with Vertical(id="sign-in-words"):
                yield Prose(_("Sign in on your phone"), id="title", classes="headline")
                with Vertical(id="link"):
                    yield Prose(id="how", classes="label")
                    yield Prose(id="address", classes="value")
                    yield BigText(self._code, self.charset)
                    yield Prose(_(_WORDS), classes="label")
                yield Prose(id="stage")
                yield Prose(word_pair(self._sign_in.words), id="pair")
                yield Prose(id="then", classes="label")
                yield Prose(id="notice", classes="caution")
                if self._phone:
                    yield Prose(_("Demo: press F9 for the simulated phone."), id="demo", classes="demo")
                yield Countdown(self._sign_in.deadline, _("Time left {time}"))
            if self._qr:
                yield self._qr

    def _read(self, view: SignInView) -> None:
        """Take the address and the QR code from an answer of the broker."""
        if view.stage is Stage.WAITING:
            self._address = no_scheme(view.typed)
            self._code = "".join(filter(str.isalnum, view.typed.rpartition("/")[2]))
            if self._qr:
                self._qr.encode(view.scan)
            elif self.charset.has_half_blocks:
                self._qr = QrCode(view.scan)
        self._seen = view

    def on_mount(self) -> None:
        self._lay_out(self.app.size)

    def on_resize(self, event: Resize) -> None:
        super().on_resize(event)
        self._lay_out(event.size)

    def tick(self) -> None:
        view, before = self._sign_in.view, self._seen
        countdown = self.query_one(Countdown)
        if view.stage is not before.stage:
            countdown.restart(self._sign_in.deadline)
        if view is not before:
            self._read(view)
            self._lay_out(self.app.size)
        elif self._notice() != self._noticed:
            self._lay_out(self.app.size)
        countdown.tick()

    def _notice(self) -> str:
        return link_notice(self._renewal, self._seen.stage, answers=self._sign_in.answers())

    def _lay_out(self, size: Size) -> None:
        """Say what this stage needs. Show the QR code and the large code where they leave room for all else.

        A phone reads a long address from the QR code, and no one would type it; so the large code goes first.
        """
        stage = self._seen.stage
        waiting = stage is Stage.WAITING
        title, said, then = phone_stage(stage)
        self._noticed = self._notice()
        self.query_one("#title", Prose).say(_(title))
        for name, text in (("stage", _(said)), ("then", _(then)), ("notice", self._noticed)):
            self.query_one(f"#{name}", Prose).say(text)
            self.query_one(f"#{name}", Prose).display = bool(text)
        self.query_one("#link").display = waiting
        self.query_one("#pair", Prose).display = stage in {Stage.WAITING, Stage.OPENED}
        if self._phone:
            self.query_one("#demo").display = waiting
            self.hint(_WITH_PHONE if waiting else _ESC)
        if waiting:
            self._lay_out_link(size)
        elif self._qr:
            self._qr.display = False

    def _lay_out_link(self, size: Size) -> None:
        page, qr = self.page(size), self._qr
        whole = page.width - _BESIDE
        beside = whole - qr.cells if qr else 0
        scannable = qr is not None and beside >= _LEAST_WORDS and qr.lines <= page.height
        for scanned in (True, False) if scannable else (False,):
            width = beside if scanned else whole
            lines = chop_cells(self._address, width)
            room = page.height - len(lines) - self._rest(width, scanned=scanned)
            if room >= 0:
                break
        big = self.query_one(BigText)
        big.display = big.lines(width) + _AROUND_LARGE <= room
        self.query_one("#how", Prose).say(_(_SCAN if scanned else _OPEN))
        self.query_one("#address", Prose).say("\n".join(lines))
        if qr:
            qr.display = scanned

    def _rest(self, width: int, *, scanned: bool) -> int:
        """Return how many lines everything but the address takes at this width."""
        title, _said, then = phone_stage(Stage.WAITING)
        texts = [_(_SCAN if scanned else _OPEN), _(_WORDS), _(then), self._noticed]
        texts += [_("Demo: press F9 for the simulated phone.")] if self._phone else []
        text_lines = sum(height(text, width) for text in texts if text)
        return height(_(title), width) + 1 + text_lines + _PAIR + _TIME + _BELOW_ADDRESS

    def why_not(self, key: str) -> str:
        if key == "enter" and self.fits:
            return _("This screen continues automatically once you have signed in.")
        return super().why_not(key)

    @property
    def idle_keys(self) -> Collection[str]:
        return () if self._phone and self._seen.stage is Stage.WAITING else ("f9",)

    def action_escape(self) -> None:
        self.answer(None)

    def action_phone(self) -> None:
        if "f9" not in self.idle_keys:
            self.post_message(self.PhoneWanted())
