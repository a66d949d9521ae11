"""All workarounds for Textual's terminal driver (8.2.8), each with its reason; the terminal tests cover them.

They use private names of LinuxDriver, which is why Textual is pinned exactly.
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
# Focus reports may be forged, and pass: the most that they do is hide the key.
FROM_THE_LINE = (events.Key, events.AppBlur, events.AppFocus)
_BELIEVED = (*FROM_THE_LINE, TerminalSupportsSynchronizedOutput)


@runtime_checkable
class DriverHost(Protocol):
    """What the driver needs of its app."""

    clock: Clock
    # What was typed before the driver began to read.
    typed: bytes

    def terminal_lost(self) -> None:
        """Wipe and end: the terminal has gone away. Called from the input thread."""

    def input_broke(self, error: Exception) -> None:
        """Wipe and end as a crash: no key press can be read any more. Called from the input thread."""


class KioskDriver(LinuxDriver):
    """Accepts keys and focus reports from the terminal, and nothing else."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        assert isinstance(app, DriverHost)
        self._host: DriverHost = app
        # Whether a key was pressed. What a terminal sends by itself does not count.
        self.heard = False
        # Events sent to the app, and events that it has handled. Each is written by one thread only.
        self._sent = self._handled = 0
        # Textual's handler for SIGCONT restarts the driver even if it was never stopped. Its handler for SIGTSTP stops
        # the process for good: there is no shell to continue it. No upstream issue is known.
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        signal.signal(signal.SIGCONT, signal.SIG_DFL)

    def _get_terminal_size(self) -> tuple[int, int]:
        return window_size(self.fileno)

    def _query_in_band_window_resize(self) -> None:
        # Textual accepts any size from a resize report: 25 bytes would make a screen of gigabytes.
        pass

    def _request_terminal_sync_mode_support(self) -> None:
        # The Linux console prints the end of this query on the screen.
        if os.environ.get("TERM") != "linux":
            super()._request_terminal_sync_mode_support()

    def process_message(self, message: Message) -> None:
        """Pass on what a keyboard sends; drop mouse, resize, paste and cursor reports."""
        if isinstance(message, _BELIEVED):
            super().process_message(message)

    def send_message(self, message: Message) -> None:
        """Send to the app, and count what the app has not handled yet."""
        self.heard = self.heard or isinstance(message, events.Key)
        self._sent += isinstance(message, FROM_THE_LINE)
        super().send_message(message)

    def handled_one(self) -> None:
        """Note that the app has handled one more event."""
        self._handled += 1

    def _run_input_thread(self) -> None:
        # The original formats the traceback for the screen, and the cause is lost to the log.
        try:
            self.run_input_thread()
        except Exception as error:
            self._host.input_broke(error)

    def run_input_thread(self) -> None:
        """Read keys until told to stop or until the terminal is gone.

        Unlike the original this survives invalid UTF-8 (textual #6456) and sequences on which Textual's parser fails,
        accepts no more than a person types, and ends at end of file instead of spinning (textual PR #6690).
        """
        keyboard = Keyboard(self._host.clock, lambda: self._sent - self._handled)
        for event in keyboard.typed(self._host.typed):
            self.process_message(event)
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
        """Erase the screen first: the last frame would stay in the alternate screen, or on terminals without one."""
        self.write(OVERPRINT_AND_ERASE)
        super().stop_application_mode()
