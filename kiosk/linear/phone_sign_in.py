"""The sign-in on the phone in linear mode: address and words, then the digits in one line."""

from __future__ import annotations

from collections.abc import Callable

from kiosk.i18n import _
from kiosk.linear.commands import Command, find
from kiosk.linear.reading import in_words
from kiosk.linear.simulated_phone import who_signs_in
from kiosk.linear.talk import Step, Talk
from kiosk.linear.texts import DIGITS_HELP, PHONE_SIGN_IN_HELP
from kiosk.linear.times import Announcer, no_more_time, spoken
from kiosk.sign_in_messages import DIGITS, Stage
from kiosk.sign_in_words import WORDS
from kiosk.visit.answers import DigitsNotice, Renewal
from kiosk.visit.demo_phone import DemoPhone
from kiosk.visit.phone_progress import PhoneProgress
from kiosk.wording import (
    NOT_ALL_DIGITS,
    PHONE_NOT_SILENT,
    PHONE_SILENT,
    digits_notice,
    link_notice,
    no_scheme,
    phone_stage,
)


class _OfPhone:
    """What both steps say: times, and whether the broker answers."""

    def __init__(
        self, talk: Talk, begin: Callable[[Step, int], None], sign_in: PhoneProgress, phone: DemoPhone | None
    ) -> None:
        """``begin`` begins a step on an empty page. ``phone`` is the simulated one of the demo."""
        self._talk = talk
        self._begin = begin
        self._sign_in = sign_in
        self._phone = phone
        self._silent = False
        self._announcer = Announcer(lambda: sign_in.deadline.left(), talk.page.speech)

    def _say_time(self) -> None:
        self._talk.say(_("Time left: {time}.").format(time=spoken(self._sign_in.deadline.left())))

    def _tick(self) -> None:
        if self._silent is self._sign_in.answers() and not self._talk.page.speech.left():
            self._silent = not self._silent
            self._talk.say(_(PHONE_SILENT if self._silent else PHONE_NOT_SILENT))
        if self._announcer.due():
            self._say_time()

    def _more(self) -> None:
        self._talk.say(no_more_time())
        self._say_time()


class PhoneStep(_OfPhone):
    """Says where to go and which words to choose, and each stage once."""

    _stage = Stage.WAITING

    async def run(self, renewal: Renewal | None) -> None:
        """Run until the person cancels. ``renewal`` says why it is a new link, if it is one."""
        phone = self._phone
        self._stage = self._sign_in.view.stage
        self._begin(Step(PHONE_SIGN_IN_HELP, tick=self._tick, more=self._more), 1)
        if renewal:
            self._talk.say(link_notice(renewal, Stage.WAITING, answers=True))
        self._say_stage()
        if phone:
            phone.put_away()
            if phone.person:
                phone.open_link(self._sign_in.view.scan, self._sign_in.words, phone.person)
        keys = ("f9",) if phone else ()
        while (typed := await self._talk.ask(_("Waiting for your phone: "), keys=keys)) is not None:
            command = find(typed)
            if command is Command.SPELL and self._stage is Stage.WAITING:
                self._talk.say(in_words(self._code()))
            elif command is Command.PHONE and phone:
                if oid := await who_signs_in(self._talk, phone):
                    phone.open_link(self._sign_in.view.scan, self._sign_in.words, oid)
            elif command is Command.TIME:
                self._say_time()
            else:
                self._say_stage()

    def _tick(self) -> None:
        if self._sign_in.view.stage is not self._stage:
            self._stage = self._sign_in.view.stage
            self._say_stage()
        super()._tick()

    def _code(self) -> str:
        return "".join(filter(str.isalnum, self._sign_in.view.typed.rpartition("/")[2]))

    def _say_stage(self) -> None:
        say = self._talk.say
        if self._stage is Stage.WAITING:
            say(f"{_('On your phone or another device, open')} {no_scheme(self._sign_in.view.typed)}")
            say(_("After the last slash: {code}").format(code=", ".join(self._code())))
            say(f"{_('The page asks for these words:')} {self._words()}.")
            say(_(phone_stage(Stage.WAITING)[2]))
            self._say_time()
            say(_("Type {spell} to have the end of the address spelled out.").format(spell=Command.SPELL.word))
            if self._phone:
                say(_("Demo: type {phone} to use the simulated phone.").format(phone=Command.PHONE.word))
            return
        title, then, after = map(_, phone_stage(self._stage))
        say(f"{title}.")
        say(f"{then} {self._words()}." if self._stage is Stage.OPENED else then)
        say(after)
        say(_("If that is not your phone, type {back}.").format(back=Command.BACK.word))

    def _words(self) -> str:
        return ", ".join(_(WORDS[number]) for number in self._sign_in.words)


class DigitsStep(_OfPhone):
    """Says who signed in, and asks for the digits in one line."""

    _said = ""

    async def run(self, tries: int, notice: DigitsNotice | None) -> bytearray | None:
        """Return the digits, or None if the person is somebody else."""
        self._begin(Step(DIGITS_HELP, tick=self._tick, more=self._more), 2)
        if notice:
            self._talk.say(digits_notice(notice, tries))
        self._say_who()
        while (typed := await self._talk.ask(_("Six digits: "))) is not None:
            digits = "".join(one for one in typed if one not in " -")
            if len(digits) == DIGITS and digits.isascii() and digits.isdigit():
                return bytearray(digits.encode())
            if find(typed) is Command.TIME:
                self._say_time()
            elif digits and not find(typed):
                self._talk.say(_(NOT_ALL_DIGITS))
            else:
                self._say_who()
        return None

    def _say_who(self) -> None:
        view, say = self._sign_in.view, self._talk.say
        say(f"{_('Signed in on the phone:')} {view.name}, {view.address}")
        say(_(NOT_ALL_DIGITS))
        say(_("If this is not you, type {back}. Never tell anyone the digits.").format(back=Command.BACK.word))
        self._say_time()
        self._say_demo()

    def _say_demo(self) -> None:
        if self._said:
            self._talk.say(_("Simulated phone: {said}").format(said=self._said))

    def _tick(self) -> None:
        if self._phone and self._phone.said != self._said:
            self._said = self._phone.said
            self._say_demo()
        super()._tick()
