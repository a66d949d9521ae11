"""The lock screen: whose desk this is, what it does, and how to begin. Nothing moves, nothing is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from kiosk.screens.base import KioskScreen
from kiosk.widgets.facts import Facts
from kiosk.widgets.key_hints import Hint
from kiosk.widgets.prose import Prose


class WelcomeScreen(KioskScreen[None]):
    """Enter begins."""

    hints: Sequence[Hint] = (("Enter", "Begin"),)
    ending_hints = (("F1", "Help"),)
    help_text = (
        "This terminal shows you the FileVault recovery key of a Mac that your organisation manages, so that you can"
        " unlock it again.\n\n"
        "You need a phone or another device on which you can sign in with your work account. You sign in there;"
        " your password is never typed here.\n\n"
        "When you are done, or when you walk away, everything is wiped from this terminal."
    )

    def __init__(self, helpdesk: str, portal: str, notice: str = "", *, demo: bool = False) -> None:
        """``notice`` is for everybody, such as that the last visit ended with a fault."""
        super().__init__()
        if demo:
            self.hints = (*self.hints, ("F12", "End the demo"))
        self._notice = notice
        self._helpdesk = helpdesk
        self._portal = portal

    def content(self) -> Iterable[Widget]:
        yield Prose("Locked out of your Mac?", classes="headline")
        yield Prose("Read its recovery key here.", classes="subline")
        yield Prose(
            "1   Sign in with your phone or another device\n2   Choose your Mac\n3   Read the key and write it down",
            classes="steps",
        )
        yield Prose("Press Enter to begin", classes="call")
        if self._notice:
            yield Prose(self._notice, classes="caution value")
        yield Facts(helpdesk=self._helpdesk, online=self._portal)

    def action_enter(self) -> None:
        self.answer(None)
