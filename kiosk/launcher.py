"""Puts the kiosk on a terminal: one supervisor, and the app in a process of its own for each visit."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import NoReturn, Protocol

from kiosk import i18n
from kiosk.clock import SystemClock
from kiosk.config.kiosk import KioskConfig
from kiosk.models import Ending
from kiosk.net.tls import tls_context
from kiosk.process.exit_codes import EXIT_NO_TERMINAL, EXIT_OTHER_UI
from kiosk.process.hardening import harden, lock_memory
from kiosk.process.logging import to_syslog
from kiosk.supervisor import Supervisor, VisitContext
from kiosk.terminal.recorders import find_recorders
from kiosk.terminal.terminal import NotATerminal, Terminal
from kiosk.visit.demo_phone import DemoPhone
from kiosk.visit.guard import VisitGuard

# Somebody who has changed the face of this terminal and walked away leaves it to nobody.
_OTHER_UI_SECONDS = 300.0


class Visiting(Protocol):
    """A visit with a face."""

    guard: VisitGuard

    async def run_visit(self) -> int:
        """Until it ends; returns the exit code."""

    def leave_now(self, code: int) -> None:
        """End without a word."""


def launch(config: KioskConfig, *, linear: bool, phone: Callable[[], DemoPhone] | None = None, note: str = "") -> int:
    """Run visits on this terminal; returns the program's exit code. Raises ConfigError.

    ``linear`` shows them as plain lines; ``phone`` makes the simulated phone of the demo, in the process of the visit;
    ``note`` stands on every screen.
    """
    try:
        terminal = Terminal()
    except NotATerminal:
        expected = "expected one terminal as standard input, output and error (Textual draws on the last)"
        sys.stdout.write(f"kiosk: {expected}\n")
        return EXIT_NO_TERMINAL
    # Read once here, so that a broken file is one clear line now and not a failed visit later.
    for bundle in {config.sign_in.ca_bundle, config.broker.ca_bundle} - {None}:
        tls_context(bundle)
    to_syslog("kiosk")
    i18n.use(config.look.language)
    harden()
    once = config.visit.after == "exit"
    name = _terminal_name(terminal)

    def visit(context: VisitContext) -> int:
        ui = _ui(linear=context.linear)
        lock_memory()
        visiting = ui(
            config,
            SystemClock(),
            terminal=name,
            look=partial(find_recorders, config.recorders, terminal.name),
            phone=phone() if phone else None,
            reference=context.reference,
            failed=context.failed,
            disturbed=context.disturbed,
            open_reveals=context.open_reveals,
            first_frame=context.first_frame,
            note=note,
        )
        return _run_visit(visiting, other_ui=context.linear is not linear)

    def lost(release_ids: list[str], how: Ending) -> None:
        # Not needed until something has gone wrong, and loaded by then.
        from kiosk.api import tell_lost

        tell_lost(config.broker, name, release_ids, how)

    return Supervisor(terminal, visit, lost, once=once, linear=linear).run()


def _ui(*, linear: bool) -> Callable[..., Visiting]:
    if linear:
        from kiosk.linear.app import LinearKiosk

        return LinearKiosk
    from kiosk.fullscreen.app import KioskApp

    return KioskApp


def _run_visit(visiting: Visiting, *, other_ui: bool) -> NoReturn:
    async def back() -> None:
        await visiting.guard.clock.sleep(_OTHER_UI_SECONDS)
        if visiting.guard.visit is None:
            visiting.leave_now(EXIT_OTHER_UI)

    async def until_it_ends() -> NoReturn:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, visiting.leave_now, 128 + number)
        going_back = asyncio.ensure_future(back()) if other_ui else None
        code = await visiting.run_visit()
        if going_back:
            going_back.cancel()
        # What is still under way, such as a question to the sign-in service, is not waited for.
        os._exit(code)

    asyncio.run(until_it_ends())


def _terminal_name(terminal: Terminal) -> str:
    """For the broker's record: this machine and the tty, and over SSH the address at the other end.

    The machine is the first word, by which the broker counts for ``per_kiosk``.
    """
    here = f"{'-'.join(socket.gethostname().split()) or 'unnamed'} {terminal.name}"
    peer = os.environ.get("SSH_CONNECTION", "").split()
    return f"{here} from {peer[0]}" if peer else here
