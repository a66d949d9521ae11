"""The reveal step of linear mode: the commands it accepts, and what is said when the time runs out."""

from __future__ import annotations

from collections.abc import Callable

from kiosk.i18n import _
from kiosk.linear.commands import Command, find
from kiosk.linear.reading import Reading
from kiosk.linear.speech import seconds
from kiosk.linear.talk import Step, Talk
from kiosk.linear.texts import REVEAL_HELP
from kiosk.linear.times import MARKS, Announcer, no_more_time, spoken
from kiosk.models import Ending
from kiosk.recovery_key.format import GROUPS
from kiosk.recovery_key.look_alikes import look_alikes, sentences
from kiosk.visit.answers import AfterReveal
from kiosk.visit.reveal import Reveal
from kiosk.wording import name, serial

# An announcement takes one row, and one for the line that was being typed.
_ROWS_TO_COME = 2 + 2 * len(MARKS)


def _question() -> str:
    return _("Your choice: ")


class RevealStep:
    """Shows one reveal until the person goes back or on."""

    def __init__(self, talk: Talk, reveal: Reveal, *, warning: str, masked: bool, note: str = "") -> None:
        """``masked`` shows one group at a time; ``note`` is part of the heading."""
        self._talk = talk
        self._reveal = reveal
        self._warning = warning
        self._reading = Reading(reveal, talk.page, masked=masked)
        self._speech = talk.page.speech
        self._announcer = Announcer(lambda: reveal.deadline.left(), self._speech)
        self._said_over = False
        device = reveal.device
        title = _("Recovery key of {name}").format(name=name(device))
        numbered = _("serial number {serial}").format(serial=serial(device))
        self._heading = ", ".join(part for part in (note, title, numbered) if part)

    async def run(self) -> AfterReveal:
        """Run until the person goes back, on, or fetches the key again after its time is over."""
        talk, reveal = self._talk, self._reveal
        # Somebody who copies 24 characters presses no key.
        talk.begin(Step(REVEAL_HELP, lambda: not reveal.visible, self.follow, more=self._more))
        # The time may have run out during the copy check or the card.
        reveal.tick()
        if reveal.over:
            talk.say(self._heading)
            self.follow()
        else:
            self._read(spelled=False)
        try:
            while True:
                typed = await talk.ask(_question())
                self._heard()
                if typed is None:
                    reveal.finish(Ending.HIDDEN)
                    return AfterReveal.BACK
                if way := self._way_on(typed):
                    return way
                if not reveal.over:
                    self._obey(typed)
                elif not typed:
                    return AfterReveal.FETCH
                else:
                    self._say_over()
        finally:
            self._reading.hide()

    def _way_on(self, typed: str) -> AfterReveal | None:
        """Return the step that a command leads to, if it does, even after time is up."""
        command = find(typed)
        if command is Command.CHECK and self._reveal.copy_check:
            return AfterReveal.CHECK
        return AfterReveal.WHAT_NOW if command is Command.NEXT else None

    def follow(self) -> None:
        """Check the clock: hide the key when its time is over, announce the time that is left."""
        reveal = self._reveal
        reveal.tick()
        gone = self._reading.follow()
        left = self._announcer.due()
        if reveal.over:
            if not self._said_over:
                self._said_over = True
                self._say_over()
        elif gone:
            self._say_hidden()
        elif left and reveal.visible:
            self._say_time()

    def _obey(self, typed: str) -> None:
        if typed.isdecimal() and self._reading.usual:
            self._read_group(int(typed))
            return
        actions: dict[Command | None, Callable[[], None]] = {
            Command.SHOW: lambda: self._read(spelled=False),
            Command.REPEAT: lambda: self._read(spelled=False),
            Command.SPELL: lambda: self._read(spelled=True),
            Command.HIDE: self._hide,
            Command.TIME: self._say_state,
        }
        if typed:
            actions.get(find(typed), self._say_unknown)()
        elif self._reveal.visible:
            self._say_time()
        else:
            self._read(spelled=False)

    def _say_state(self) -> None:
        if self._reveal.visible:
            self._say_time()
        else:
            self._say_hidden()

    def _read(self, *, spelled: bool) -> None:
        if self._reading.whole(self._heading, spelled=spelled):
            advice = [self._advice(), self._warning, self._ways_on()]
            look_alikes = [] if spelled else self._look_alikes()
            self._speak(*advice, *look_alikes)
            self._add_below(self._vanishes(), *advice)
            self._add_below(*look_alikes, spare=_ROWS_TO_COME)
            return
        self._talk.page.turn()
        in_parts = _("Type a number from 1 to {count} to read one group at a time.").format(count=GROUPS)
        for text in (self._heading, in_parts if self._reading.usual else self._too_small(), self._warning):
            if text:
                self._talk.say(text)
        self._speak()

    def _speak(self, *texts: str) -> None:
        """Give the page its time: what is being spoken, how long the key stays, these texts and the question."""
        self._reveal.speak(self._speech.left() + sum(map(seconds, (self._vanishes(), *texts, _question()))))

    def _heard(self) -> None:
        self._reveal.heard()
        self.follow()

    def _read_group(self, number: int) -> None:
        if not 1 <= number <= GROUPS:
            self._talk.say(_("The groups are numbered 1 to {count}.").format(count=GROUPS))
        elif self._reading.group(number, self._heading):
            self._speak()
            self._add_below(self._vanishes())
        else:
            self._talk.say(self._too_small())

    def _look_alikes(self) -> list[str]:
        """Return sentences on look-alikes, except where a key has both of a pair: nothing marks the digit here."""
        key = self._reveal.key
        if key is None or not self._reading.usual:
            return []
        return sentences(pair for pair in look_alikes(key) if pair.absent)

    def _add_below(self, *texts: str, spare: int = 2) -> None:
        """Write the texts that leave ``spare`` rows free, so that they do not push the key off its page."""
        page = self._talk.page
        for text in texts:
            if text and page.height(text) + spare <= page.room:
                page.line(text)

    def _too_small(self) -> str:
        words = _("This window is too small for the key. Make it larger, then type {show}.")
        return words.format(show=Command.SHOW.word)

    def _advice(self) -> str:
        if not self._reading.usual:
            return _("This key has an unusual format. Copy it exactly as shown in the line above.")
        words = _("Type {spell} to spell it out, a number for one group, {hide}, {more} for more time, or {back}.")
        return words.format(
            spell=Command.SPELL.word, hide=Command.HIDE.word, more=Command.MORE.word, back=Command.BACK.word
        )

    def _ways_on(self) -> str:
        words = _("Type {check} to check what you wrote down, or {next} for what to do at your Mac.")
        return words.format(check=Command.CHECK.word, next=Command.NEXT.word) if self._reveal.copy_check else ""

    def _hide(self) -> None:
        self._reading.hide()
        self._say_hidden()

    def _more(self) -> None:
        self._heard()
        if self._reveal.over:
            self._say_over()
        elif not self._reveal.visible:
            self._say_hidden()
        elif self._reveal.can_extend or not self._reveal.at_longest:
            self._reveal.extend()
            self._say_time()
        else:
            self._talk.say(no_more_time())

    def _vanishes(self) -> str:
        """Return how long the key will stay when this is heard, after what is being spoken now."""
        left = self._reveal.deadline.left() - self._speech.left()
        return _("Time left: {time}.").format(time=spoken(max(0.0, left)))

    def _say_time(self) -> None:
        self._talk.say(self._vanishes())

    def _say_hidden(self) -> None:
        words = _("The key is hidden. Type {show} to see it again within {time}.")
        self._talk.say(words.format(show=Command.SHOW.word, time=spoken(self._reveal.deadline.left())))

    def _say_over(self) -> None:
        self._talk.say(_("Time is up and the key is no longer shown. Press Enter to get it again."))

    def _say_unknown(self) -> None:
        words = _("That word does nothing here. Type {help} to find out what does.")
        self._talk.say(words.format(help=Command.HELP.word))
