"""Shows any error: what happened, what to do next, who can help, and a reference to quote."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from kiosk.clock import Deadline
from kiosk.config.kiosk import Organisation
from kiosk.errors import KioskError
from kiosk.i18n import N_, _
from kiosk.models import Device
from kiosk.screens.base import KioskScreen
from kiosk.screens.help import HelpScreen
from kiosk.visit.answers import Choice
from kiosk.widgets.facts import Facts
from kiosk.widgets.key_hints import KeyHint
from kiosk.widgets.prose import Prose
from kiosk.widgets.qr_code import QrCode
from kiosk.wording import TROUBLE_HELP, advice, again, help_with, in_a_while, named


class TroubleScreen(KioskScreen[Choice]):
    """Explains an error in plain words; never shows the cause, which is for the operator."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f5", "ticket", show=False)]
    help_text = TROUBLE_HELP

    def __init__(
        self,
        error: KioskError,
        organisation: Organisation,
        *,
        leave: str,
        step: int = 0,
        device: Device | None = None,
        ticket: str = "",
        wait: Deadline | None = None,
    ) -> None:
        """``leave`` is the marked label of Esc, ``ticket`` the text for a ticket. Before ``wait`` no retry can help."""
        super().__init__()
        self.step = step
        self._error = error
        self._organisation = organisation
        self._device = device
        self._ticket = ticket
        self._final = error.final
        self._leave = leave
        self._wait = wait
        self._advice = Prose(advice(error, wait), classes="value")
        self.key_hints = self._choices()

    def _choices(self) -> Sequence[KeyHint]:
        ticket = (("F5", N_("Ticket")),) if self._ticket else ()
        if self._final:
            return (("Enter", self._leave), *ticket)
        retry = () if self._waiting else (("Enter", again(self._error)),)
        return (*retry, ("Esc", self._leave), *ticket)

    @property
    def _waiting(self) -> bool:
        return self._wait is not None and not self._wait.passed()

    def tick(self) -> None:
        """Offer the retry as soon as it can help."""
        if self._wait is None:
            return
        self._advice.say(advice(self._error, self._wait))
        if (choices := self._choices()) != self.key_hints:
            self.hint(choices)

    def content(self) -> Iterable[Widget]:
        if self._error.portal:
            with Horizontal(id="trouble"):
                with Vertical(id="trouble-words"):
                    yield from self._words()
                yield QrCode(self._organisation.portal)
        else:
            yield from self._words()
        # Below the QR code, not beside it, where the address of the helpdesk would be broken across lines.
        yield Facts(help_with(self._error, self._organisation))

    def _words(self) -> Iterable[Widget]:
        error = self._error
        yield Prose(_(error.title), classes="headline")
        if self._device:
            yield Prose(named(self._device), classes="value quiet")
        yield Prose(_(error.sentence), classes="value")
        yield self._advice
        if error.portal:
            # Beside a label there is no room to keep an address on one line.
            yield Prose(self._organisation.portal.removeprefix("https://"), classes="value")

    def why_not(self, key: str) -> str:
        if key == "enter" and self._waiting and self._wait and not self._final and self.fits:
            return in_a_while(self._wait)
        return super().why_not(key)

    @property
    def idle_keys(self) -> Collection[str]:
        return () if self._ticket else ("f5",)

    def action_ticket(self) -> None:
        """Show the text for a ticket on top of this screen."""
        if self._ticket:
            self.app.push_screen(HelpScreen(self._ticket, self._organisation.helpdesk, title=_("Ticket details")))

    def action_enter(self) -> None:
        if self._final:
            self.answer(Choice.LEAVE)
        elif not self._waiting:
            self.answer(Choice.AGAIN)

    def action_escape(self) -> None:
        self.answer(Choice.LEAVE)
