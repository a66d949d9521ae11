"""Every workaround for Textual's terminal driver (8.2.8), each with the reason; the terminal tests guard them.

It leans on private names of LinuxDriver, which is why Textual is pinned exactly.
"""

from __future__ import annotations

import os
import select
import signal
from typing import Any, Protocol, runtime_checkable

from textual import events
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message
from textual.messages import TerminalSupportsSynchronizedOutput

from kiosk.clock import Clock
from kiosk.fullscreen.keyboard import Keyboard
from kiosk.terminal.terminal import OVERPRINT_AND_ERASE, window_size

_POLL_MILLISECONDS = 50
_READ_BYTES = 4096
# Forged focus reports are let through: at most they hide something.
FROM_THE_LINE = (events.Key, events.AppBlur, events.AppFocus)
_BELIEVED = (*FROM_THE_LINE, TerminalSupportsSynchronizedOutput)


@runtime_checkable
class DriverHost(Protocol):
    """What the driver needs of its app."""

    clock: Clock

    def terminal_lost(self) -> None:
        """Wipe and end: the terminal has gone away. Called from the input thread."""


class KioskDriver(LinuxDriver):
    """The terminal, with nothing believed that comes over the wire but keys."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        assert isinstance(app, DriverHost)
        self._host: DriverHost = app
        # Whether a key was pressed; the answers that a terminal gives by itself are none.
        self.heard = False
        # Each is written by one thread only.
        self._sent = self._handled = 0
        # The handler for SIGCONT starts the driver anew even when it was never stopped, and the one for SIGTSTP stops
        # the process for good: there is no shell that would continue it. No upstream thread is known.
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        signal.signal(signal.SIGCONT, signal.SIG_DFL)

    def _get_terminal_size(self) -> tuple[int, int]:
        return window_size(self.fileno)

    def _query_in_band_window_resize(self) -> None:
        # A resize report over the wire is believed without limit: 25 bytes make a screen of gigabytes.
        pass

    def _request_terminal_sync_mode_support(self) -> None:
        # The Linux console prints the end of this question on the screen.
        if os.environ.get("TERM") != "linux":
            super()._request_terminal_sync_mode_support()

    def process_message(self, message: Message) -> None:
        """Let through what a keyboard sends: no mouse, resize, paste or cursor position comes over the wire."""
        if isinstance(message, _BELIEVED):
            super().process_message(message)

    def send_message(self, message: Message) -> None:
        """Hand it to the app, and take note of it until the app has looked at it."""
        self.heard = self.heard or isinstance(message, events.Key)
        self._sent += isinstance(message, FROM_THE_LINE)
        super().send_message(message)

    def looked_at(self) -> None:
        """The app has had one more event from the line."""
        self._handled += 1

    def run_input_thread(self) -> None:
        """Read keys until told to stop or until the terminal is gone.

        Unlike the original this survives invalid UTF-8 (textual #6456) and sequences that its parser chokes on, takes
        no more than a person types, and ends at end of file instead of spinning (textual PR #6690).
        """
        keyboard = Keyboard(self._host.clock, lambda: self._sent - self._handled)
        poll = select.poll()
        poll.register(self.fileno, select.POLLIN)
        while not self.exit_event.is_set():
            data: bytes | None = None
            for _, flags in poll.poll(_POLL_MILLISECONDS):
                try:
                    data = os.read(self.fileno, _READ_BYTES) if flags & select.POLLIN else b""
                except OSError:
                    data = b""
            if data == b"":
                self._host.terminal_lost()
                return
            for event in keyboard.typed(data) if data else ():
                self.process_message(event)
            for event in keyboard.tick():
                self.process_message(event)

    def stop_application_mode(self) -> None:
        """Leave an empty screen behind: the last frame stays in the alternate one, and some terminals have none."""
        self.write(OVERPRINT_AND_ERASE)
        super().stop_application_mode()
