"""The copy check of linear mode: each group is typed unseen and answered with right or wrong."""

from __future__ import annotations

from kiosk.i18n import _
from kiosk.linear.hidden import Hidden
from kiosk.linear.talk import Step, Talk
from kiosk.linear.texts import COPY_CHECK_HELP
from kiosk.recovery_key.copy_check import CopyCheck, Verdict, is_between, may_occur
from kiosk.recovery_key.format import GROUP_LENGTH, GROUPS
from kiosk.visit.answers import AfterCheck
from kiosk.wording import copy_right, group_spent, group_wanted, group_wrong, never_in_a_key


class Check:
    """Asks for the groups that are not right yet, again and again, while there are tries."""

    def __init__(self, talk: Talk, check: CopyCheck) -> None:
        self._talk = talk
        self._check = check

    async def run(self) -> AfterCheck:
        """Run until all groups are right or the person stops."""
        talk = self._talk
        talk.begin(Step(COPY_CHECK_HELP, lambda: True))
        talk.say(_("Check your copy"))
        talk.say(_("The key is hidden. Type what you wrote down, group by group."))
        while number := self._next():
            talk.say(group_wanted(number))
            hidden = Hidden(GROUP_LENGTH, may_occur, is_between)
            try:
                if not await talk.ask_hidden(_("Group {number}:").format(number=number) + " ", hidden):
                    return AfterCheck.BACK
                if not hidden.length and not hidden.refused:
                    return AfterCheck.GO_ON
                self._say_of(number, hidden)
            finally:
                hidden.wipe()
        if not self._check.outcome.complete:
            return AfterCheck.BACK if await talk.ask(_("Press Enter: ")) is None else AfterCheck.GO_ON
        talk.say(copy_right())
        return AfterCheck.BACK if await talk.ask(_("Press Enter: ")) is None else AfterCheck.GO_ON

    def _next(self) -> int:
        """Return the first group that is not right and has tries left, or 0."""
        groups = range(1, GROUPS + 1)
        return next((one for one in groups if not self._check.is_right(one) and self._check.tries_left(one)), 0)

    def _say_of(self, number: int, hidden: Hidden) -> None:
        if hidden.refused:
            self._talk.say(never_in_a_key())
            return
        verdict = self._check.check(number, hidden.taken())
        if verdict is Verdict.RIGHT:
            self._talk.say(_("Group {number} is right.").format(number=number))
        elif verdict is Verdict.WRONG:
            left = self._check.tries_left(number)
            self._talk.say(group_wrong(number, left) if left else group_spent(number))
        elif verdict is Verdict.FORGOTTEN:
            self._talk.say(_("You can no longer check this copy."))
