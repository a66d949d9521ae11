"""The conversation on a page: texts, questions, and announcements while somebody types."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kiosk.i18n import _
from kiosk.linear.commands import BY_KEY, Command, find
from kiosk.linear.entry import Entry
from kiosk.linear.keys import ENTER, ESCAPE
from kiosk.linear.page import Page
from kiosk.linear.times import ask_for_more

if TYPE_CHECKING:
    from kiosk.linear.hidden import Hidden

LONGEST_ANSWER: Final = 60
# For commands: a question below a full page must fit in the rows that are left.
LONGEST_WORD: Final = 12
# Rows that a long text leaves free for the question after it.
_SPARE_ROWS = 3


class StepOver(Exception):
    """The time of a step ran out while it was asking."""


def _never() -> bool:
    return False


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Step:
    """The current step of the visit: its help text, its clock, and whether idleness counts.

    ``held`` is called for an Enter that may come from a key that is held down. It then answers nothing. ``asked`` is
    called for each question, once it is written. ``more`` gives more time, where the step has a limit of its own.
    """

    help: str = ""
    idle_counts: Callable[[], bool] = _never
    tick: Callable[[], None] = _nothing
    held: Callable[[], None] | None = None
    asked: Callable[[], None] = _nothing
    more: Callable[[], None] | None = None


class Talk:
    """Asks one question at a time. Keys that come while nothing is asked are dropped."""

    def __init__(self, page: Page, *, helpdesk: str, lock: Callable[[], None], more: Callable[[], bool]) -> None:
        """``more`` gives more time in steps without a limit of their own; returns False where no limit runs."""
        self.page = page
        self.step = Step()
        self._helpdesk = helpdesk
        self._lock = lock
        self._more = more
        self._entry: Entry | None = None
        self._answer: asyncio.Future[str | None] | None = None
        # The function keys that the question accepts, beside those of every step.
        self._keys: Collection[str] = ()
        self._over = False
        # How many keys were pressed.
        self.pressed = 0

    def begin(self, step: Step) -> None:
        """Begin a step on an empty page."""
        # The question before may be cancelled but not have run its cleanup yet.
        self.stop()
        self.step = step
        self._over = False
        self.page.turn()

    def end_step(self) -> None:
        """End the step: its current or next question raises StepOver."""
        self._over = True
        if self._answer and not self._answer.done():
            self._answer.set_exception(StepOver())

    def stop(self) -> None:
        """Drop the question and what was being typed."""
        self._entry = self._answer = None

    def press(self, key: str, *, repeated: bool = False) -> None:
        """Handle one key. ``repeated``: it may come from a key that is held down."""
        self.pressed += 1
        entry, answer = self._entry, self._answer
        if key == "f10":
            self._lock()
        elif entry is None or answer is None or answer.done():
            return
        elif key == ENTER and repeated and self.step.held:
            self.step.held()
        elif key == ENTER:
            answer.set_result(entry.text.strip())
        elif key == ESCAPE:
            answer.set_result(None)
        elif key == "f1" or key in self._keys:
            answer.set_result(BY_KEY[key].value)
        elif key in BY_KEY:
            # The key's word would be mistaken for typed text.
            entry.refuse()
        else:
            entry.press(key)

    def say(self, text: str) -> None:
        """Write a text now. A line that is being typed continues below it."""
        entry = self._entry
        if entry and not self.page.fresh:
            self.page.newline()
        # Otherwise the next question would turn the page and erase this text at once.
        spare = entry.height if entry else min(_SPARE_ROWS, self.page.rows // 2)
        if self.page.height(text) + spare > self.page.room and not self.page.fresh:
            self.page.turn()
        self.page.line(text)
        if entry:
            entry.write()

    async def read_out(self, *texts: str) -> bool:
        """Say texts that may need several pages; wait before each page. Returns False to go back before the end."""
        return await self._read_out(texts, self.ask) is None

    async def _read_out(self, texts: Iterable[str], ask: Callable[..., Awaitable[str | None]]) -> Command | None:
        """Return the command that ended it early: back, or help if ``ask`` does not handle that. None at the end."""
        page = self.page
        paragraphs = [paragraph for text in texts for paragraph in text.split("\n") if paragraph.strip()]
        for paragraph in paragraphs:
            if page.height(paragraph) > page.room - _SPARE_ROWS and not page.fresh:
                typed = await ask(_("There is more. Press Enter: "), limit=LONGEST_WORD)
                if typed is None:
                    return Command.BACK
                if find(typed) is Command.HELP:
                    return Command.HELP
                page.turn()
            page.line(paragraph)
        return None

    async def ask(
        self, prompt: str, *, text: str = "", limit: int = LONGEST_ANSWER, keys: Collection[str] = ()
    ) -> str | None:
        """Return what was typed, without spaces around it, or None to go back. Handles help and lock.

        ``keys`` are the function keys that act like their words here.
        """
        while True:
            typed = await self._ask(prompt, text=text, limit=limit, keys=keys)
            if typed is None or find(typed) is not Command.HELP or not self.step.help:
                return typed
            await self.explain()
            text = ""

    async def _ask(
        self, prompt: str, *, text: str = "", limit: int = LONGEST_ANSWER, keys: Collection[str] = ()
    ) -> str | None:
        """Ask like ``ask``, but return help as an answer."""
        while True:
            typed = await self._answered(Entry(self.page, prompt, text, limit), keys)
            command = find(typed or "")
            if typed is None or command is Command.BACK:
                return None
            if command is Command.LOCK:
                self._lock()
                # If that ended the visit, this task is cancelled here.
                await asyncio.sleep(0)
            elif command is not Command.MORE or not self._add_time():
                return typed
            text = ""

    def _add_time(self) -> bool:
        if not self.step.more:
            return self._more()
        self.step.more()
        return True

    async def ask_hidden(self, prompt: str, hidden: Hidden) -> bool:
        """Ask for input that is not echoed. Returns False to go back. Accepts no commands, only keys."""
        # Already loaded, see kiosk/process/preload.py; imported at the top it would delay the first page.
        from kiosk.linear.hidden import HiddenEntry

        while True:
            answer = await self._answered(HiddenEntry(self.page, prompt, hidden))
            if answer is None:
                return False
            if find(answer) is None:
                return True
            # The new line shows no stars, so the input must be empty.
            hidden.wipe()
            await self.explain()

    async def explain(self) -> None:
        """Say the help of the step."""
        help_text, helpdesk = _(self.step.help), f"{_('Helpdesk')}: {self._helpdesk}"
        words = _("You can always type {help} for this text, {back} to go back, or {lock} to lock this terminal.")
        always = words.format(help=Command.HELP.word, back=Command.BACK.word, lock=Command.LOCK.word)
        texts = [help_text, helpdesk, always]
        if self.step.idle_counts() and not self.step.more:
            texts.append(ask_for_more())
        if sum(map(self.page.height, texts)) > self.page.room - _SPARE_ROWS:
            self.page.turn()
        # Asking for help inside help restarts the text instead of nesting.
        while await self._read_out(texts, self._ask) is Command.HELP:
            self.page.turn()

    async def _answered(self, entry: Entry, keys: Collection[str] = ()) -> str | None:
        if self._over:
            raise StepOver
        self._entry, self._keys = entry, keys
        self._answer = asyncio.get_running_loop().create_future()
        entry.write()
        self.step.asked()
        try:
            answer = await self._answer
            # Screen readers stop speaking at a key.
            self.page.speech.hush()
            return answer
        finally:
            if self._entry is entry:
                self._entry = self._answer = None
                self.page.newline()
