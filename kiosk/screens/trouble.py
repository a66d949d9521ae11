"""Everything that fails ends here: what happened, what to do next, whom to ask, and a reference to quote."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from kiosk.answers import Choice
from kiosk.errors import DeviceRefused, KioskError, SignInError
from kiosk.i18n import N_, _
from kiosk.screens.base import KioskScreen
from kiosk.widgets.facts import Facts
from kiosk.widgets.prose import Prose
from kiosk.words import TROUBLE_HELP, waiting


class TroubleScreen(KioskScreen[Choice]):
    """Says it in plain words; never shows a cause that is meant for the operator."""

    help_text = TROUBLE_HELP

    def __init__(self, error: KioskError, helpdesk: str, *, leave: str, step: int = 0) -> None:
        """``leave`` says in marked words what Esc does."""
        super().__init__()
        self.step = step
        self._error = error
        self._helpdesk = helpdesk
        again = N_("New code") if isinstance(error, SignInError) else N_("Try again")
        self.hints = (("Enter", N_("Back to the list")),) if self._final else (("Enter", again), ("Esc", leave))

    @property
    def _final(self) -> bool:
        return isinstance(self._error, DeviceRefused)

    def content(self) -> Iterable[Widget]:
        error = self._error
        yield Prose(_(error.title), classes="headline")
        yield Prose(_(error.sentence), classes="value")
        yield Prose(_(error.next_step), classes="value")
        if error.retry_after:
            yield Prose(_("You can try again in {time}.").format(time=waiting(error.retry_after)), classes="value")
        support = f", {error.support}" if isinstance(error, SignInError) and error.support else ""
        yield Facts({_("Helpdesk"): self._helpdesk, _("Reference"): f"{error.reference}  ({error.code}{support})"})

    def action_enter(self) -> None:
        self.answer(Choice.LEAVE if self._final else Choice.AGAIN)

    def action_escape(self) -> None:
        self.answer(Choice.LEAVE)
