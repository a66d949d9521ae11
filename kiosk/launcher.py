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
from kiosk.process.exit_codes import EXIT_NO_TERMINAL, EXIT_OTHER_FACE
from kiosk.process.hardening import harden, lock_memory
from kiosk.process.logging import to_syslog
from kiosk.supervisor import Errand, Supervisor
from kiosk.terminal.recorders import look_around
from kiosk.terminal.terminal import NotATerminal, Terminal
from kiosk.visit.demo_phone import DemoPhone
from kiosk.visit.guard import Keeper

# Somebody who has changed the face of this terminal and walked away leaves it to nobody.
_OTHER_FACE_SECONDS = 300.0


class Visiting(Protocol):
    """A visit with a face."""

    keeper: Keeper

    async def run_visit(self) -> int:
        """Until it ends; returns the exit code."""

    def leave_now(self, code: int) -> None:
        """End without a word."""


def run_desk(config: KioskConfig, *, linear: bool, phone: Callable[[], DemoPhone] | None = None, note: str = "") -> int:
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

    def visit(errand: Errand) -> int:
        face = _face(linear=errand.linear)
        lock_memory()
        visiting = face(
            config,
            SystemClock(),
            terminal=name,
            look=partial(look_around, config.surroundings, terminal.name),
            phone=phone() if phone else None,
            reference=errand.reference,
            failed=errand.failed,
            disturbed=errand.disturbed,
            witness=errand.witness,
            curtain=errand.curtain,
            note=note,
        )
        return _run_visit(visiting, other_face=errand.linear is not linear)

    def lost(release_ids: list[str], how: Ending) -> None:
        # Not needed until something has gone wrong, and loaded by then.
        from kiosk.api import tell_lost

        tell_lost(config.broker, name, release_ids, how)

    return Supervisor(terminal, visit, lost, once=once, linear=linear).run()


def _face(*, linear: bool) -> Callable[..., Visiting]:
    if linear:
        from kiosk.linear.app import LinearKiosk

        return LinearKiosk
    from kiosk.fullscreen.app import KioskApp

    return KioskApp


def _run_visit(visiting: Visiting, *, other_face: bool) -> NoReturn:
    async def back() -> None:
        await visiting.keeper.clock.sleep(_OTHER_FACE_SECONDS)
        if visiting.keeper.visit is None:
            visiting.leave_now(EXIT_OTHER_FACE)

    async def until_it_ends() -> NoReturn:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, visiting.leave_now, 128 + number)
        going_back = asyncio.ensure_future(back()) if other_face else None
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
