"""The linear app: keys, clocks, the end of a visit, and what happens after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import threading
from collections.abc import Coroutine

from kiosk import i18n
from kiosk.i18n import _
from kiosk.linear.keys import BLUR
from kiosk.linear.page import Page
from kiosk.linear.speech import Speech
from kiosk.linear.talk import Step, StepOver, Talk
from kiosk.linear.times import Limit, spoken
from kiosk.linear.tty import Tty
from kiosk.linear.ui import LinearUI
from kiosk.models import Ending
from kiosk.process import preload
from kiosk.process.exit_codes import EXIT_CRASH, EXIT_DISTURBED, EXIT_DONE, EXIT_ENOUGH, EXIT_LOST, EXIT_OTHER_UI
from kiosk.process.logging import log_loop_error
from kiosk.visit.context import VisitContext
from kiosk.visit.flow import Flow
from kiosk.visit.guard import TICK_SECONDS, VisitGuard
from kiosk.visit.ways_out import VisitOver
from kiosk.wording import goodbye

# Standard input and output: the terminal.
_INPUT, _OUTPUT = 0, 1
# The goodbye stays this long after it was spoken: braille is read at about half the speed of speech.
_GOODBYE_SECONDS = 15


class LinearKiosk:
    """One visit, from the first question to the lock."""

    def __init__(self, context: VisitContext) -> None:
        i18n.use(context.config.look.language)
        self._clock = context.clock
        self._start = context.start
        self.guard = VisitGuard(context, began=self._begin_ticking, over=self._over)
        self._tty = Tty(_INPUT, pressed=self._pressed, lost=self._terminal_lost)
        self._speech = Speech(context.clock)
        self._page = Page(_OUTPUT, self._tty.size, self._speech)
        helpdesk = context.config.organisation.helpdesk
        self._talk = Talk(self._page, helpdesk=helpdesk, lock=self._lock, more=self._more)
        self._ui = LinearUI(
            self._talk,
            context,
            ticket=self.guard.ticket,
            visit_left=self.guard.left,
            other_ui=lambda: self.leave_now(EXIT_OTHER_UI),
            end_demo=(lambda: self.leave_now(EXIT_ENOUGH)) if context.note else None,
        )
        self._flow: asyncio.Task[None] | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._warned = False
        self._code: asyncio.Future[int] | None = None

    async def run_visit(self) -> int:
        """Run the visit until it ends; returns the exit code."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._broken)
        loop.add_signal_handler(signal.SIGWINCH, self._resized)
        self._code = loop.create_future()
        self._tty.open()
        self._page.begin()
        self._flow = asyncio.ensure_future(self._guarded(self._follow_flow()))
        # The first page is written with the flow's first step.
        loop.call_soon(self._first_page_written)
        return await self._code

    def _first_page_written(self) -> None:
        if self._start.open_reveals:
            self._start.open_reveals.drawn()
        method = self.guard.config.sign_in.method
        threading.Thread(target=preload.load_linear, args=(method,), name="kiosk-preload", daemon=True).start()

    def leave_now(self, code: int) -> None:
        """Wipe and end without a goodbye, as on a signal."""
        self.guard.wipe()
        self._leave(code)

    def _resized(self) -> None:
        self._page.resized()
        self._talk.step.tick()

    def tick(self) -> None:
        """Check every deadline against the clock."""
        # The warning is spoken as well, but must not put off what it warns of.
        listening = self._speech.left() > 0 and not self._warned
        left = self.guard.tick(idle_counts=self._talk.step.idle_counts() and not listening)
        self._talk.step.tick()
        if left is not None and not self._warned:
            still_there = _("Are you still there? This terminal locks in {seconds} s. Press any key to stay.")
            self._talk.say(still_there.format(seconds=int(left) + 1))
        self._warned = left is not None

    async def _follow_flow(self) -> None:
        try:
            await Flow(self._ui, self.guard, disturbed=self._start.disturbed).run()
        except VisitOver as over:
            self.guard.end(over.how)

    async def _guarded(self, doing: Coroutine[None, None, None]) -> None:
        try:
            await doing
        except Exception as error:
            self._crash(error)

    def _begin_ticking(self) -> None:
        # Not before somebody begins, which may take days.
        self._ticking = asyncio.ensure_future(self._guarded(self._tick_on()))

    async def _tick_on(self) -> None:
        while True:
            self.tick()
            await asyncio.sleep(TICK_SECONDS)

    def _pressed(self, key: str) -> None:
        """See every key first: a key that comes after a limit only locks."""
        guard = self.guard
        if key == BLUR:
            if guard.visit:
                guard.visit.hide()
                self._talk.step.tick()
            return
        if guard.visit and not guard.ending:
            self.tick()
            if guard.ending:
                return
            guard.pressed(key)
        self._talk.press(key, repeated=guard.repeats())

    def _lock(self) -> None:
        if self.guard.visit:
            self.guard.end(Ending.LOCKED)

    def _more(self) -> bool:
        """Say how long the kiosk waits for the next key. Returns False where it waits without a limit."""
        if not self.guard.visit or not self._talk.step.idle_counts():
            return False
        words = _("This terminal locks when nobody presses a key for {time}.")
        self._talk.say(words.format(time=spoken(min(self.guard.config.visit.idle_seconds, self.guard.left()))))
        return True

    def _over(self, how: Ending) -> None:
        self._talk.stop()
        self._clean()
        if self._flow:
            self._flow.cancel()
        self._ending = asyncio.ensure_future(self._guarded(self._say_goodbye(how)))

    async def _say_goodbye(self, how: Ending) -> None:
        talk, limit = self._talk, Limit(self._clock, self._speech, _GOODBYE_SECONDS)

        def asked() -> None:
            limit.restart()
            self.guard.goodbye_seconds = limit.left()

        self._speech.hush()
        talk.begin(Step(asked=asked, tick=lambda: None if limit.left() else talk.end_step()))
        talk.say(f"{_('You are signed out')}. {goodbye(how)}")
        talk.say(
            _(
                "Nothing from your visit stays on this terminal.\n"
                "If you wrote down the key, take the paper with you and destroy it after use."
            )
        )
        farewell = asyncio.ensure_future(self.guard.farewell(how))
        with contextlib.suppress(StepOver):
            await talk.ask(_("Press Enter: "))
        await farewell
        self._leave(EXIT_DISTURBED if self.guard.disturbed else EXIT_DONE)

    def _terminal_lost(self) -> None:
        self.leave_now(EXIT_LOST)

    def _broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """End the visit as a crash when something breaks outside of any task; log the rest."""
        error = context.get("exception")
        if "handle" in context and isinstance(error, BaseException):
            self._crash(error)
        else:
            log_loop_error(loop, context)

    def _crash(self, error: BaseException) -> None:
        if isinstance(error, OSError) and error.errno == errno.EIO:
            self.leave_now(EXIT_LOST)
            return
        self.guard.broke(error)
        self._leave(EXIT_CRASH)

    def _clean(self) -> None:
        # A terminal that has gone away needs no cleaning.
        with contextlib.suppress(OSError):
            if self._page.holds_secret:
                self._page.wipe()

    def _leave(self, code: int) -> None:
        self._talk.stop()
        self._clean()
        self.guard.stop()
        self._tty.close()
        for task in (self._flow, self._ticking):
            if task:
                task.cancel()
        if self._code and not self._code.done():
            self._code.set_result(code)
