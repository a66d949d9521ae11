"""Sets up logs for operators: never on the screen, never with a traceback or a secret."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.handlers
import socket
import sys
import threading
import warnings
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# The system's log, and the journal's own socket for the same protocol. The first is often a link to the second, and
# some machines lack that link.
LOG_SOCKETS = (Path("/dev/log"), Path("/run/systemd/journal/dev-log"))
_SEVERITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4}
_INFORMATIONAL = 6
_FRAMES = 3

log = logging.getLogger(__name__)


def to_syslog(program: str, sockets: Sequence[Path] = LOG_SOCKETS) -> None:
    """Send the kiosk's log to the first of ``sockets`` that accepts it: its standard error is the screen."""
    handler = _Syslog(sockets)
    handler.setFormatter(_OneLine(f"{program}[%(process)d]: %(message)s"))
    _only(handler)
    # The default hooks would print a traceback on the screen.
    sys.excepthook = lambda _kind, error, _trace: log.error("ended: %s", place_of(error))
    threading.excepthook = lambda args: log.error("a thread ended: %s", place_of(args.exc_value))
    sys.unraisablehook = lambda args: log.error("not raised: %s", place_of(args.exc_value))


def to_stderr() -> None:
    """Send the log of a service to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(levelname)s %(name)s: %(message)s"))
    _only(handler)


def log_socket(sockets: Sequence[Path] = LOG_SOCKETS) -> Path | None:
    """Return the first socket that accepts the kiosk's log now, or None."""
    for path in sockets:
        with contextlib.suppress(OSError), _connected(path):
            return path
    return None


def log_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what broke in an event loop. asyncio's own handler would quote all arguments, and with them secrets."""
    if error := context.get("exception"):
        log.error("in the event loop: %s", place_of(error))


class _Syslog(logging.Handler):
    """Sends each line as one datagram and never blocks: a line that is not accepted at once is lost.

    It connects for each line, so that it finds a log that was restarted or started late.
    """

    def __init__(self, sockets: Sequence[Path]) -> None:
        super().__init__()
        self._sockets = sockets

    def emit(self, record: logging.LogRecord) -> None:
        priority = logging.handlers.SysLogHandler.LOG_USER << 3 | _SEVERITIES.get(record.levelno, _INFORMATIONAL)
        line = f"<{priority}>{self.format(record)}".encode(errors="replace")
        for path in self._sockets:
            with contextlib.suppress(OSError), _connected(path) as sock:
                sock.send(line)
                return


def _connected(path: Path) -> socket.socket:
    """Return a connection to a log that never blocks. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(str(path))
    except OSError:
        sock.close()
        raise
    return sock


class _OneLine(logging.Formatter):
    """Writes each record as one line, and only the type and place of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(super().format(record).split("\n"))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return place_of(ei[1])


def place_of(error: BaseException | None) -> str:
    """Return the type of an exception and where it was raised, innermost frame first.

    Its text is left out: it may quote a secret.
    """
    frames: deque[str] = deque(maxlen=_FRAMES)
    trace = error.__traceback__ if error else None
    while trace:
        frames.appendleft(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' < '.join(frames) or 'unknown'}"


def stands_at(thread: threading.Thread) -> str:
    """Return where a thread is now: the innermost places of its stack, without any values."""
    frame = sys._current_frames().get(thread.ident or 0)
    places: list[str] = []
    while frame and len(places) < _FRAMES:
        places.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(places)


def _only(handler: logging.Handler) -> None:
    # Python writes tracebacks of failing handlers, and records without a handler, to standard error: the screen.
    logging.raiseExceptions = False
    logging.lastResort = None
    # It also writes warnings for developers there, such as MSAL's when the clock is set back.
    warnings.simplefilter("ignore")
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # At INFO they log the URLs of requests, which contain device ids, and much that nobody needs.
    for name in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
