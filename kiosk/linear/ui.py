"""The linear UI: each step of a visit is some lines, a question, and the typed answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kiosk import i18n
from kiosk.clock import Deadline
from kiosk.errors import DeviceRefused, KioskError, kind_of
from kiosk.i18n import _
from kiosk.linear.choosing import choose
from kiosk.linear.commands import Command, find, folded
from kiosk.linear.reveal import RevealStep
from kiosk.linear.talk import Step, StepOver, Talk
from kiosk.linear.texts import DEVICES_HELP, WHAT_NOW_HELP
from kiosk.linear.times import Announcer, Limit, ask_for_more, no_more_time, spoken
from kiosk.models import Device, Person
from kiosk.terminal.recorders import Recorders
from kiosk.visit.answers import (
    CONFIRM_SECONDS,
    LANGUAGE_SECONDS,
    LONGEST_REASON,
    AfterCard,
    AfterCheck,
    AfterReveal,
    Choice,
    DigitsNotice,
    Identity,
    Network,
    Renewal,
    SignInOutcome,
)
from kiosk.visit.context import VisitContext
from kiosk.visit.phone_progress import PhoneProgress
from kiosk.wording import (
    AND_THEN,
    AT_THE_MAC,
    CONFIRM_HELP,
    LET_GO,
    NETWORK,
    REASON_HELP,
    REASON_PROMPT,
    STEPS,
    TROUBLE_HELP,
    TRY_NOW,
    WELCOME_HELP,
    WORKING_HELP,
    about,
    advice,
    again,
    fault,
    help_with,
    how_many,
    key_warning,
    name,
    named,
    narrowed,
    numbered,
    seen,
    wait_after,
    which_mac,
)

if TYPE_CHECKING:
    from kiosk.identity.device_code import DeviceCode
    from kiosk.visit.reveal import Reveal


class LinearUI:
    """Implements ``kiosk.visit.ui.VisitUI`` on a page."""

    def __init__(
        self,
        talk: Talk,
        context: VisitContext,
        *,
        ticket: Callable[[KioskError, Device | None], str],
        visit_left: Callable[[], float],
        other_ui: Callable[[], None],
        end_demo: Callable[[], None] | None,
    ) -> None:
        """``ticket`` returns the text for a ticket about an error, ``visit_left`` the seconds left of the visit.
        ``other_ui`` changes to the full screen. ``end_demo`` ends the demo; None where this is no demo.
        """
        self._talk = talk
        self._organisation = context.config.organisation
        self._network: Network | None = None
        self._at_first = i18n.language()
        offered = context.config.look.languages
        self._languages = {code: name for code, name in i18n.available().items() if code in offered}
        self._clock = context.clock
        self._speech = talk.page.speech
        self._ticket = ticket
        self._visit_left = visit_left
        self._other_ui = other_ui
        self._end_demo = end_demo
        self._phone = context.phone
        self._failed = context.start.failed
        self._note = context.note

    def network(self, network: Network) -> None:
        self._network = network
        self._talk.say(_(NETWORK[network]))

    async def welcome(self) -> None:
        begun = False
        while not begun:
            forgetting = asyncio.ensure_future(self._forget_language())
            try:
                begun = await self._first_page()
            except StepOver:
                i18n.use(self._at_first)
            finally:
                forgetting.cancel()

    async def _first_page(self) -> bool:
        """Show the first page once and obey what is typed. Returns whether somebody begins."""
        self._begin(Step(WELCOME_HELP))
        await self._talk.read_out(*self._greeting())
        keys = ("f3", "f12") if self._end_demo else ("f3",)
        typed = await self._talk.ask(_("Press Enter to begin: "), keys=keys)
        if typed == "":
            return True
        command = find(typed or "")
        if command is Command.LANGUAGE:
            await self._choose_language()
        elif command is Command.FULL:
            self._other_ui()
        elif command is Command.END and self._end_demo:
            self._end_demo()
        # If that ended the process, this task is cancelled here.
        await asyncio.sleep(0)
        return False

    async def _forget_language(self) -> None:
        """Return to the first language when somebody chose another one and walked away."""
        pressed = -1
        while i18n.language() != self._at_first and pressed != self._talk.pressed:
            pressed = self._talk.pressed
            await self._clock.sleep(self._speech.left() + LANGUAGE_SECONDS)
        if i18n.language() != self._at_first:
            self._talk.end_step()

    def _greeting(self) -> Sequence[str]:
        organisation = self._organisation
        return [
            fault(self._failed) if self._failed else "",
            _(NETWORK[self._network]) if self._network else "",
            organisation.notice or "",
            f"{_('Locked out of your Mac?')} {_('Get its recovery key here.')}",
            _("1   Sign in with your phone or another device\n2   Choose your Mac\n3   Read the key and write it down"),
            f"{_('Helpdesk')}: {organisation.helpdesk}",
            f"{_('Online')}: {organisation.portal}",
            _("Type {help} at any time to find out what you can do.").format(help=Command.HELP.word),
            _("Type {screen} to switch to full screen.").format(screen=Command.FULL.word),
            # The command in English: a person who needs it may not read the current language.
            f"{Command.LANGUAGE.value}: {', '.join(self._languages.values())}" if len(self._languages) > 1 else "",
            _("Type {end} to end the demo.").format(end=Command.END.word) if self._end_demo else "",
        ]

    async def _choose_language(self) -> None:
        self._begin(Step(WELCOME_HELP))
        code = await choose(
            self._talk,
            list(self._languages),
            prompt=_("Number or name: "),
            describe=lambda code: self._languages[code],
            narrow=lambda codes, typed: [
                code for code in codes if folded(typed) in {code, folded(self._languages[code])[: len(folded(typed))]}
            ],
            nothing=_("That language is not available."),
        )
        if code:
            i18n.use(code)

    async def working(self, words: str, step: int) -> None:
        self._begin(Step(WORKING_HELP), step)
        self._talk.say(f"{_(words)}. {_('One moment, please.')}")
        while await self._talk.ask(_("Type {back} to cancel: ").format(back=Command.BACK.word)) is not None:
            pass

    async def phone_sign_in(self, sign_in: PhoneProgress, *, renewal: Renewal | None) -> None:
        from kiosk.linear.phone_sign_in import PhoneStep

        await PhoneStep(self._talk, self._begin, sign_in, self._phone).run(renewal)

    async def digits(self, sign_in: PhoneProgress, *, tries: int, notice: DigitsNotice | None) -> bytearray | None:
        from kiosk.linear.phone_sign_in import DigitsStep

        return await DigitsStep(self._talk, self._begin, sign_in, self._phone).run(tries, notice)

    async def device_code(self, code: DeviceCode, *, renewal: Renewal | None) -> SignInOutcome:
        from kiosk.linear.device_code import DeviceCodeStep

        return await DeviceCodeStep(self._talk, self._begin, code, self._phone).run(renewal)

    async def confirm(self, person: Person) -> Identity:
        limit = Limit(self._clock, self._speech, CONFIRM_SECONDS)
        announcer = Announcer(limit.left, self._speech)

        def say_time(left: float) -> None:
            self._talk.say(_("{time} left to answer.").format(time=spoken(left)))

        def tick() -> None:
            if not limit.left():
                self._talk.end_step()
            elif left := announcer.due():
                say_time(left)

        def more() -> None:
            left = self._visit_left()
            if left < CONFIRM_SECONDS:
                self._talk.say(no_more_time())
            say_time(min(left, CONFIRM_SECONDS))

        told = False

        def held() -> None:
            nonlocal told
            if not told:
                self._talk.say(_(LET_GO))
            told = True

        self._begin(Step(CONFIRM_HELP, tick=tick, held=held, asked=limit.restart, more=more), 2)
        who = f"{_('You are signed in as')} {person.name}, {person.address}"
        question = _("Is this you? Press Enter if it is, or type {no} if not. You have {time}.")
        self._talk.say(who)
        self._talk.say(question.format(no=Command.NO.word, time=spoken(CONFIRM_SECONDS)))
        self._talk.say(ask_for_more())
        try:
            while (typed := await self._talk.ask(_("Is this you? "))) is not None:
                command = find(typed)
                if not typed or command is Command.YES:
                    return Identity.MINE
                if command is Command.NO:
                    break
                self._talk.say(who)
        except StepOver:
            return Identity.UNANSWERED
        return Identity.NOT_MINE

    async def devices(self, devices: Sequence[Device], *, chosen: str) -> Device | None:
        self._begin(Step(DEVICES_HELP, lambda: True), 3)
        if not devices:
            heard = await self._talk.read_out(
                _("No Mac is registered to you."),
                _(
                    "Your organisation's device management has no Mac with you as the primary user.\n\n"
                    "Contact the helpdesk: {helpdesk}"
                ).format(helpdesk=self._organisation.helpdesk),
            )
            if heard:
                await self._talk.ask(_("Press Enter to finish: "))
            return None
        self._talk.say(_("Which Mac is locked?"))
        self._talk.say(how_many(len(devices)))
        for number, device in enumerate(devices, 1):
            if device.id == chosen:
                self._talk.say(_("You last chose number {number}.").format(number=number))
        return await choose(
            self._talk,
            devices,
            prompt=_("Number or name of the Mac: "),
            describe=self._describe,
            narrow=narrowed,
            nothing=_("No Mac matches this. Press Esc to show all."),
        )

    def _describe(self, device: Device) -> str:
        last = _("last seen: {when}").format(when=seen(device, self._clock.utc()))
        words = f"{name(device)}, {about(device)}, {last}."
        if device.refusal:
            refusal = kind_of(device.refusal) or DeviceRefused
            words += " " + _("No key here: {why} {next_step}").format(
                why=_(refusal.sentence), next_step=_(refusal.next_step)
            )
        elif warning := kind_of(device.warning):
            words += f" {_(warning.sentence)}"
        return words

    async def reason(self, prompt: str | None, *, required: bool, typed: str) -> str | None:
        self._begin(Step(REASON_HELP, lambda: True), 4)
        self._talk.say(_("Before the key is shown"))
        self._talk.say(prompt or _(REASON_PROMPT))
        if not required:
            self._talk.say(_("You can leave it blank."))
        text = typed
        while True:
            answer = await self._talk.ask(_("Reason: "), text=text, limit=LONGEST_REASON)
            if answer or answer is None or not required:
                return answer
            text = ""
            self._talk.say(_("You need to give a reason."))

    async def reveal(self, reveal: Reveal, recorders: Recorders) -> AfterReveal:
        warning = key_warning(reveal.warning, recorders)
        return await RevealStep(self._talk, reveal, warning=warning, masked=recorders.masks, note=self._note).run()

    async def copy_check(self, reveal: Reveal) -> AfterCheck:
        # Already loaded, see kiosk/process/preload.py; imported at the top it would delay the first page.
        from kiosk.linear.copy_check import Check

        assert reveal.copy_check is not None, "a key of unusual form has no groups to check"
        return await Check(self._talk, reveal.copy_check).run()

    async def what_now(self, device: Device) -> AfterCard:
        self._begin(Step(WHAT_NOW_HELP, lambda: True), 4)
        facts = [f"{what}: {value}" for what, value in which_mac(device).items()]
        steps = [f"{number}. {step}" for number, step in numbered((*AT_THE_MAC, *AND_THEN)).items()]
        helpdesk = f"{_('Helpdesk')}: {self._organisation.helpdesk}"
        while True:
            if not await self._talk.read_out(*facts, *steps, helpdesk):
                return AfterCard.BACK
            words = _("Press Enter to finish and lock, or type {back}: ")
            typed = await self._talk.ask(words.format(back=Command.BACK.word))
            if not typed:
                return AfterCard.BACK if typed is None else AfterCard.FINISH

    async def trouble(self, error: KioskError, *, leave: str, step: int, device: Device | None) -> Choice:
        wait = wait_after(error, self._clock)
        waited = wait is None

        def tick() -> None:
            nonlocal waited
            if not waited and wait and wait.passed() and not self._speech.left():
                waited = True
                self._talk.say(_(TRY_NOW))

        self._begin(Step(TROUBLE_HELP, lambda: True, tick=tick), step)
        ticket = self._ticket(error, device)
        while True:
            if not await self._talk.read_out(*self._about(error, wait, leave, device, ticket=bool(ticket))):
                return Choice.LEAVE
            typed = await self._talk.ask(_("Press Enter: "), keys=("f5",) if ticket else ())
            if typed is None:
                return Choice.LEAVE
            if not typed and error.final:
                return Choice.LEAVE
            if not typed and (wait is None or wait.passed()):
                return Choice.AGAIN
            if find(typed) is Command.TICKET and ticket:
                self._begin(self._talk.step, step)
                heard = await self._talk.read_out(_("Ticket details"), ticket)
                if not heard or await self._talk.ask(_("Press Enter to go back: ")) is None:
                    return Choice.LEAVE
            self._begin(self._talk.step, step)

    def _about(
        self, error: KioskError, wait: Deadline | None, leave: str, device: Device | None, *, ticket: bool
    ) -> Sequence[str]:
        """Return the lines about an error: what happened, what to do, who can help, and what Enter does."""
        lines = [f"{_(error.title)}."]
        lines += [named(device)] if device else []
        lines += [_(error.sentence), advice(error, wait)]
        if error.portal:
            lines.append(self._organisation.portal)
        lines += [f"{what}: {value}" for what, value in help_with(error, self._organisation).items()]
        if ticket:
            lines.append(_("Type {ticket} for the ticket details.").format(ticket=Command.TICKET.word))
        if error.final:
            back = _("Press Enter to go back to the list.")
            return [*lines, back if device else f"{_('Enter')}: {_(leave)}."]
        if wait and not wait.passed():
            return [*lines, f"{Command.BACK.word}: {_(leave)}."]
        ways = _("Enter: {again}. {back}: {leave}.")
        return [*lines, ways.format(again=_(again(error)), back=Command.BACK.word, leave=_(leave))]

    def _begin(self, step: Step, number: int = 0) -> None:
        """Begin a step on an empty page, headed by the organisation and the number of the step."""
        self._talk.begin(step)
        top = [self._organisation.name, self._note]
        if number:
            words = _("step {number} of {count}: {name}")
            top.append(words.format(number=number, count=len(STEPS), name=_(STEPS[number - 1])))
        self._talk.say(", ".join(part for part in top if part))
