"""Puts the kiosk on a terminal: one supervisor, and the app in a process of its own for each visit."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from functools import partial

import click

from kiosk import no_palette  # noqa: F401 - has to come before Textual's app
from kiosk.app import EXIT_CRASH, DemoPhone, KioskApp
from kiosk.clock import SystemClock
from kiosk.config import KioskConfig
from kiosk.journal import to_syslog
from kiosk.models import Ending
from kiosk.process import harden, lock_memory
from kiosk.supervisor import Errand, Supervisor
from kiosk.surroundings import look_around
from kiosk.terminal import NotATerminal, Terminal
from kiosk.tls import tls_context

EXIT_NO_TERMINAL = 2


def run_desk(config: KioskConfig, *, phone: Callable[[], DemoPhone] | None = None, note: str = "") -> int:
    """Run visits on this terminal; returns the program's exit code. Raises ConfigError.

    ``phone`` makes the simulated phone of the demo, in the process of the visit; ``note`` stands on every screen.
    """
    try:
        terminal = Terminal()
    except NotATerminal:
        click.echo("kiosk: expected one terminal as standard input, output and error (Textual draws on the last)")
        return EXIT_NO_TERMINAL
    # Read once here, so that a broken file is one clear line now and not a failed visit later.
    for bundle in {config.sign_in.ca_bundle, config.broker.ca_bundle} - {None}:
        tls_context(bundle)
    to_syslog("kiosk")
    harden()
    once = config.visit.after == "exit"
    name = _terminal_name(terminal)

    def visit(errand: Errand) -> int:
        lock_memory()
        app = KioskApp(
            config,
            SystemClock(),
            terminal=name,
            look=partial(look_around, config.surroundings, terminal.name),
            phone=phone() if phone else None,
            reference=errand.reference,
            notice=errand.notice,
            disturbed=errand.disturbed,
            witness=errand.witness,
            curtain=errand.curtain,
            note=note,
        )
        return _run_visit(app)

    def lost(release_ids: list[str], how: Ending) -> None:
        # Not needed until something has gone wrong, and loaded by then.
        from kiosk.api import tell_lost

        tell_lost(config.broker, name, release_ids, how)

    return Supervisor(terminal, visit, lost, once=once).run()


def _run_visit(app: KioskApp) -> int:
    async def until_it_ends() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, app.leave_now, 128 + number)
        await app.run_async(mouse=False)

    asyncio.run(until_it_ends())
    # Textual leaves the code open when its input thread dies: an end that nobody chose is a crash.
    return EXIT_CRASH if app.return_code is None else app.return_code


def _terminal_name(terminal: Terminal) -> str:
    """For the broker's record: this machine and the tty, and over SSH the address at the other end.

    The machine is the first word, by which the broker counts for ``per_kiosk``.
    """
    here = f"{'-'.join(socket.gethostname().split()) or 'unnamed'} {terminal.name}"
    peer = os.environ.get("SSH_CONNECTION", "").split()
    return f"{here} from {peer[0]}" if peer else here
