"""Where the programs write what operators should know: never on the screen, never with a traceback or a secret."""

from __future__ import annotations

import logging
import logging.handlers
import warnings
from collections import deque
from pathlib import Path

_SYSLOG = Path("/dev/log")
_FRAMES = 3


def to_syslog(program: str) -> None:
    """For the kiosk: standard error is its screen, so its log goes to the system's, or nowhere."""
    handler: logging.Handler = logging.NullHandler()
    if _SYSLOG.exists():
        try:
            handler = logging.handlers.SysLogHandler(str(_SYSLOG))
            handler.setFormatter(logging.Formatter(f"{program}[%(process)d]: %(message)s"))
        except OSError:
            handler = logging.NullHandler()
    _only(handler)


def to_stderr() -> None:
    """For services."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    _only(handler)


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


def cause_of(error: BaseException | None) -> str:
    """What broke and where, for a log or a screen: the type and the place, without a word of what was in it."""
    return f"{type(error).__name__} at {place_of(error)}"


def _only(handler: logging.Handler) -> None:
    # Python prints tracebacks of failing handlers, and warnings without a handler, on standard error: the screen.
    logging.raiseExceptions = False
    logging.lastResort = None
    # So it does with those that libraries mean for developers, such as MSAL's when the clock was set back meanwhile.
    warnings.simplefilter("ignore")
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # At this level they log addresses of requests, which hold device ids, and other things that nobody needs.
    for name in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It logs an answer of Entra ID that it cannot read, as it came and with the token in it, as an error.
    logging.getLogger("msal").setLevel(logging.CRITICAL)
