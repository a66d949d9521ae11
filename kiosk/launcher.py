"""Starts the kiosk on a terminal: one supervisor, and one process for each visit. See ``docs/startup.md``."""

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
from kiosk.fullscreen import textual_stubs
from kiosk.look.drawable import AUTO, Drawable
from kiosk.models import Ending, SignInMethod
from kiosk.net.tls import tls_context
from kiosk.process import preload
from kiosk.process.exit_codes import EXIT_NO_TERMINAL, EXIT_OTHER_UI
from kiosk.process.hardening import lock_memory
from kiosk.process.logging import log_loop_error, to_syslog
from kiosk.supervisor import Supervisor
from kiosk.terminal import asking
from kiosk.terminal.recorders import find_recorders
from kiosk.terminal.terminal import NotATerminal, Terminal
from kiosk.visit.context import VisitContext, VisitStart
from kiosk.visit.demo_phone import DemoPhone
from kiosk.visit.guard import VisitGuard

# Somebody who changed to the other UI and walked away: after this time the usual one returns.
_OTHER_UI_SECONDS = 300.0


class VisitApp(Protocol):
    """One visit in either UI."""

    guard: VisitGuard

    async def run_visit(self) -> int:
        """Run the visit until it ends; returns the exit code."""

    def leave_now(self, code: int) -> None:
        """End the process with this code, without a goodbye."""


def launch(config: KioskConfig, *, linear: bool, phone: Callable[[], DemoPhone] | None = None, note: str = "") -> int:
    """Run visits on this terminal. Returns the program's exit code. Raises ConfigError.

    ``linear`` is the usual UI. ``phone`` makes the simulated phone of the demo, in the process of the visit. ``note``
    is shown on every screen.
    """
    textual_stubs.install()
    preload.skip_httpx_cli()
    try:
        terminal = Terminal()
    except NotATerminal:
        expected = "expected one terminal as standard input, output and error (Textual draws on the last)"
        sys.stdout.write(f"kiosk: {expected}\n")
        return EXIT_NO_TERMINAL
    # Read once here, so that a broken file is one clear line now and not a failed visit later.
    method, broker = config.sign_in.method, config.broker
    if method is SignInMethod.DEVICE_CODE and (codes := config.device_code_settings.ca_bundle):
        tls_context(codes)
    if broker.ca_bundle or broker.certificate:
        tls_context(broker.ca_bundle, broker.certificate, broker.key)
    to_syslog("kiosk")
    i18n.use(config.look.language)
    once = config.visit.after == "exit"
    name = _terminal_name(terminal)
    drawable, typed = Drawable(), b""
    if config.look.type == AUTO and not linear:
        # Not in linear mode: a screen reader would speak the question.
        drawable, typed = asking.ask(SystemClock())

    def visit(start: VisitStart) -> int:
        app = _app(linear=start.linear)
        lock_memory()
        context = VisitContext(
            config=config,
            clock=SystemClock(),
            terminal=name,
            drawable=drawable,
            find_recorders=partial(find_recorders, config.recorders, terminal.name),
            phone=phone() if phone else None,
            note=note,
            start=start,
        )
        return _run_visit(app(context), other_ui=start.linear is not linear)

    def lost(release_ids: list[str], how: Ending) -> None:
        # Imported late: it loads the network side, which a supervisor needs only when something went wrong.
        from kiosk.api import tell_lost

        tell_lost(config.broker, name, release_ids, how)

    return Supervisor(terminal, visit, lost, once=once, linear=linear, typed=typed, method=method).run()


def _app(*, linear: bool) -> Callable[[VisitContext], VisitApp]:
    if linear:
        from kiosk.linear.app import LinearKiosk

        return LinearKiosk
    from kiosk.fullscreen.app import KioskApp

    return KioskApp


def _run_visit(app: VisitApp, *, other_ui: bool) -> NoReturn:
    async def back() -> None:
        await app.guard.clock.sleep(_OTHER_UI_SECONDS)
        if app.guard.visit is None:
            app.leave_now(EXIT_OTHER_UI)

    async def until_it_ends() -> NoReturn:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log_loop_error)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, app.leave_now, 128 + number)
        going_back = asyncio.ensure_future(back()) if other_ui else None
        code = await app.run_visit()
        if going_back:
            going_back.cancel()
        # Do not wait for threads that still work, such as a request to the sign-in service.
        os._exit(code)

    asyncio.run(until_it_ends())


def _terminal_name(terminal: Terminal) -> str:
    """Return the name for the broker's record: machine and tty, and over SSH the address of the other end.

    The first word is the machine, by which the broker counts for ``per_kiosk``.
    """
    here = f"{'-'.join(socket.gethostname().split()) or 'unnamed'} {terminal.name}"
    peer = os.environ.get("SSH_CONNECTION", "").split()
    return f"{here} from {peer[0]}" if peer else here
