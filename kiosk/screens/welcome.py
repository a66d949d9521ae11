"""The lock screen: whose desk this is, what it does, and how to begin. Nothing moves, nothing is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from kiosk.i18n import N_, _
from kiosk.screens.base import KioskScreen
from kiosk.widgets.facts import Facts
from kiosk.widgets.key_hints import Hint
from kiosk.widgets.prose import Prose
from kiosk.words import WELCOME_HELP


class WelcomeScreen(KioskScreen[None]):
    """Enter begins."""

    hints: Sequence[Hint] = (("Enter", N_("Begin")),)
    ending_hints = (("F1", N_("Help")),)
    help_text = WELCOME_HELP

    def __init__(self, helpdesk: str, portal: str, notice: str = "", *, demo: bool = False) -> None:
        """``notice`` is for everybody, such as that the last visit ended with a fault."""
        super().__init__()
        if demo:
            self.hints = (*self.hints, ("F12", N_("End the demo")))
        self._notice = notice
        self._helpdesk = helpdesk
        self._portal = portal

    def content(self) -> Iterable[Widget]:
        yield Prose(_("Locked out of your Mac?"), classes="headline")
        yield Prose(_("Read its recovery key here."), classes="subline")
        yield Prose(
            _("1   Sign in with your phone or another device\n2   Choose your Mac\n3   Read the key and write it down"),
            classes="steps",
        )
        yield Prose(_("Press Enter to begin"), classes="call")
        if self._notice:
            yield Prose(self._notice, classes="caution value")
        yield Facts({_("Helpdesk"): self._helpdesk, _("Online"): self._portal})

    def action_enter(self) -> None:
        self.answer(None)
