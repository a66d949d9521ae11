"""The sign-in with a device code in linear mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kiosk.i18n import _
from kiosk.linear.commands import Command, find
from kiosk.linear.reading import in_words
from kiosk.linear.simulated_phone import who_signs_in
from kiosk.linear.talk import Step, StepOver, Talk
from kiosk.linear.texts import DEVICE_CODE_HELP
from kiosk.linear.times import Announcer, spoken
from kiosk.visit.answers import Renewal, SignInOutcome
from kiosk.visit.demo_phone import DemoPhone
from kiosk.wording import NOT_SILENT, SENT_A_CODE, SILENT, code_notice, no_scheme

if TYPE_CHECKING:
    from kiosk.identity.device_code import DeviceCode


class DeviceCodeStep:
    """Says address and code, and again on request, until the code expires."""

    def __init__(
        self, talk: Talk, begin: Callable[[Step, int], None], code: DeviceCode, phone: DemoPhone | None
    ) -> None:
        """``begin`` begins a step on an empty page."""
        self._talk = talk
        self._begin = begin
        self._code = code
        self._phone = phone
        self._announcer = Announcer(code.deadline.left, talk.page.speech)
        self._silent = False

    async def run(self, renewal: Renewal | None) -> SignInOutcome:
        """Run until the code expires or the person cancels. ``renewal`` says why it is a new code, if it is one."""
        keys = ("f9",) if self._phone else ()
        self._begin(Step(DEVICE_CODE_HELP, tick=self._tick, more=self._more), 1)
        if renewal:
            self._talk.say(code_notice(renewal, answers=True))
        self._say_code()
        try:
            while (typed := await self._talk.ask(_("Waiting for your sign-in: "), keys=keys)) is not None:
                command = find(typed)
                if command is Command.SPELL:
                    self._talk.say(in_words(self._code.user_code))
                elif command is Command.PHONE and self._phone:
                    if oid := await who_signs_in(self._talk, self._phone):
                        await self._phone.approve(self._code.user_code, oid)
                elif command is Command.TIME:
                    self._say_time()
                else:
                    self._say_code()
        except StepOver:
            return SignInOutcome.EXPIRED
        return SignInOutcome.CANCELLED

    def _say_code(self) -> None:
        say, code = self._talk.say, self._code
        say(f"{_('On your phone or another device, open')} {no_scheme(code.address)}")
        # Without commas a synthesiser says A as an article.
        say(_("Then enter the code: {code}").format(code=", ".join(code.user_code)))
        say(f"{_('Enter it only if you are at this kiosk.')} {_(SENT_A_CODE)}")
        self._say_time()
        say(_("Type {spell} to have the code spelled out.").format(spell=Command.SPELL.word))
        if self._phone:
            say(_("Demo: type {phone} to use the simulated phone.").format(phone=Command.PHONE.word))

    def _say_time(self) -> None:
        self._talk.say(_("The code is valid for {time}.").format(time=spoken(self._code.deadline.left())))

    def _tick(self) -> None:
        if self._silent is self._code.answers() and not self._talk.page.speech.left():
            self._silent = not self._silent
            self._talk.say(_(SILENT if self._silent else NOT_SILENT))
        if self._code.deadline.passed():
            self._talk.end_step()
        elif self._announcer.due():
            self._say_time()

    def _more(self) -> None:
        self._say_time()
        self._talk.say(_("After that you get a new code."))
