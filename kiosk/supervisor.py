"""Runs each visit in a process of its own and cleans the terminal after it. Holds no secrets."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from kiosk.clock import Deadline, SystemClock
from kiosk.errors import new_reference
from kiosk.models import Ending, SignInMethod
from kiosk.process import preload
from kiosk.process.exit_codes import EXIT_CRASH, EXIT_DISTURBED, EXIT_DONE, EXIT_ENOUGH, EXIT_LOST, EXIT_OTHER_UI
from kiosk.process.hardening import die_with_parent, harden, wait_for_end
from kiosk.process.logging import log_socket, place_of
from kiosk.terminal.caretaker import Caretaker
from kiosk.terminal.first_frame import FirstFrame
from kiosk.terminal.terminal import Terminal
from kiosk.visit.code_pause import CodePause
from kiosk.visit.context import VisitStart
from kiosk.visit.open_reveals import OpenReveals
from kiosk.wording import fault, out_of_order

log = logging.getLogger(__name__)

_STOPPING = (signal.SIGTERM, signal.SIGHUP)
# Between visits the terminal is not raw: Ctrl-C, Ctrl-\ and Ctrl-Z would send signals.
_FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTOU, signal.SIGTTIN)
# They mean nothing here, and would end the process.
_WITHOUT_MEANING = (
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPWR,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)
_LONGEST_PAUSE_SECONDS = 30.0
_QUICK_SECONDS = 5.0
_GRACE_SECONDS = 4.0
_DRAWN_SECONDS = 5.0
_IN_ORDER = frozenset({EXIT_DONE, EXIT_DISTURBED, EXIT_OTHER_UI, EXIT_LOST})
_TELLING_SECONDS = 8


class Supervisor:
    """Runs visits on one terminal until it is stopped."""

    def __init__(
        self,
        terminal: Terminal,
        visit: Callable[[VisitStart], int],
        lost: Callable[[list[str], Ending], None],
        *,
        once: bool,
        linear: bool,
        typed: bytes = b"",
        method: SignInMethod = SignInMethod.WEB,
    ) -> None:
        """``visit`` runs in the child and returns its exit code. ``lost`` reports reveals left open to the broker.

        ``once`` ends the program after one visit, as over SSH. ``linear`` makes linear mode the default UI. ``typed``
        was typed already, for the first visit. ``method`` is how people sign in.
        """
        self._terminal = terminal
        self._visit = visit
        self._lost = lost
        self._once = once
        self._linear = linear
        self._typed = typed
        self._method = method
        self._first_frame = FirstFrame()
        self._code_pause = CodePause()
        self._child = 0
        self._caretaker: Caretaker | None = None
        self._stopped_by = 0

    def run(self) -> int:
        """Run visits, and return the exit code of the program."""
        for number in _STOPPING:
            signal.signal(number, self._stop)
        for number in (*_FROM_THE_TERMINAL, *_WITHOUT_MEANING):
            signal.signal(number, signal.SIG_IGN)
        failures = 0
        failed, disturbed, other_ui = "", False, False
        while not self._stopped_by:
            quick, reference = Deadline.after(SystemClock(), _QUICK_SECONDS), new_reference()
            open_reveals = OpenReveals()
            start = VisitStart(
                reference=reference,
                failed=failed,
                disturbed=disturbed,
                linear=self._linear is not other_ui,
                typed=self._typed,
                open_reveals=open_reveals,
                first_frame=self._first_frame,
                code_pause=self._code_pause,
            )
            code = self._one_visit(start)
            self._typed = b""
            self._terminal.reset()
            if self._caretaker:
                self._caretaker.dismiss()
                self._caretaker = None
            if left_open := open_reveals.left_open():
                chosen = code in _IN_ORDER or code == 128 + signal.SIGTERM
                self._tell_lost(left_open, Ending.LOST if chosen else Ending.CRASHED)
            other_ui = code == EXIT_OTHER_UI and not other_ui
            if code == EXIT_OTHER_UI:
                # Keep ``failed`` and ``disturbed``: the first screen of the other UI still has to show them.
                continue
            failed, disturbed = "", code == EXIT_DISTURBED or (disturbed and code not in _IN_ORDER)
            if code == EXIT_ENOUGH:
                return 0
            if code not in _IN_ORDER and not self._stopped_by:
                cause = open_reveals.cause or _exit_name(code)
                log.error("%s a visit ended with %s: %s", reference, code, cause)
                # Without a log, the reference would lead nowhere.
                failed = reference if log_socket() else f"{reference} ({cause})"
            if self._stopped_by or self._once or code == EXIT_LOST:
                if failed:
                    self._terminal.say(fault(failed))
                return self._exit_code(code)
            failures = failures + 1 if failed and not quick.passed() else 0
            if failures > 1:
                self._terminal.say(out_of_order(failed))
                self._pause(min(2.0**failures, _LONGEST_PAUSE_SECONDS))
        return 128 + self._stopped_by

    def _exit_code(self, code: int) -> int:
        """Return the exit code in the form of a shell: 128 plus the number of a signal."""
        if self._stopped_by:
            return 128 + self._stopped_by
        if code == EXIT_DISTURBED:
            return 0
        return code if code >= 0 else 128 - code

    def _tell_lost(self, left_open: list[str], how: Ending) -> None:
        """Tell the broker of open reveals, from another process with a time limit.

        This process thus keeps no event loop and no threads, and a hanging name resolution cannot block it.
        """
        child = _fork()
        if child is None:
            # The broker closes them itself after a while.
            return
        if child == 0:
            try:
                for number in (*_STOPPING, signal.SIGALRM):
                    signal.signal(number, signal.SIG_DFL)
                signal.alarm(_TELLING_SECONDS)
                self._lost(left_open, how)
            finally:
                os._exit(0)
        os.waitpid(child, 0)

    def _one_visit(self, start: VisitStart) -> int:
        parent = os.getpid()
        gc.freeze()
        # A signal between the fork and the assignment of ``_child`` would not reach the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        if self._stopped_by:
            return EXIT_DONE
        child = _fork()
        if child == 0:
            self._in_child(parent, start)
        self._child = child or 0
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        if child is None:
            if start.open_reveals:
                start.open_reveals.broke("no new process")
            return EXIT_CRASH
        self._caretaker = Caretaker(lambda: self._clean_up(start.open_reveals, child))
        if not self._once:
            self._load_modules(start, child)
        _, status = os.waitpid(child, 0)
        self._child = 0
        return os.waitstatus_to_exitcode(status)

    def _clean_up(self, open_reveals: OpenReveals | None, child: int) -> None:
        """In the caretaker: do what this process would have done after the visit, had it not been killed."""
        # The kernel ends the visit with its supervisor, but a moment later.
        wait_for_end(child, _GRACE_SECONDS)
        if not self._terminal.reset():
            self._terminal.reopen()
            self._terminal.reset()
        if open_reveals and (left_open := open_reveals.left_open()):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_TELLING_SECONDS)
            self._lost(left_open, Ending.CRASHED)

    def _load_modules(self, start: VisitStart, child: int) -> None:
        """Load modules for later visits, once the first visit has drawn its screen.

        Loaded before the first fork, they would slow that visit down: it would copy every page that it touches. Later
        visits gain more from sharing them.
        """
        if start.open_reveals:
            start.open_reveals.wait_until_drawn(child, _DRAWN_SECONDS)
        (preload.load_linear if self._linear else preload.load_full_screen)(self._method)
        # All visits share the loaded modules. The garbage collector must not touch their pages, which would copy them.
        gc.collect()
        gc.freeze()

    def _in_child(self, parent: int, start: VisitStart) -> NoReturn:
        code = EXIT_CRASH
        try:
            for number in _STOPPING:
                signal.signal(number, signal.SIG_DFL)
            die_with_parent(parent)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
            if not start.failed and not start.linear:
                self._first_frame.draw()
            harden()
            # No module loaded for the first screen is garbage. kiosk/process/preload.py enables the collector again.
            gc.disable()
            code = self._visit(start)
        except BaseException as error:
            cause = place_of(error)
            if start.open_reveals:
                start.open_reveals.broke(cause)
            log.error("%s a visit failed: %s", start.reference, cause)
        finally:
            os._exit(code)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._stopped_by = number
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGTERM)
            # waitpid continues after this handler (PEP 475), so an alarm kills a child that hangs.
            signal.signal(signal.SIGALRM, self._force)
            signal.setitimer(signal.ITIMER_REAL, _GRACE_SECONDS)

    def _force(self, _number: int, _frame: FrameType | None) -> None:
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)

    def _pause(self, seconds: float) -> None:
        until = Deadline.after(SystemClock(), seconds)
        while not self._stopped_by and not until.passed():
            time.sleep(0.2)


def _exit_name(code: int) -> str:
    """Return the name of the signal, or the exit code, with which a process ended."""
    return signal.Signals(-code).name if code < 0 else f"code {code}"


def _fork() -> int | None:
    """Fork. Returns what ``os.fork`` does, or None if the machine cannot start a process now."""
    try:
        return os.fork()
    except OSError as error:
        log.error("no new process: %s", error.strerror)
        return None
