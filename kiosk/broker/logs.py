"""The broker's log on stderr: one line for one event, with code, reference and cause; never a secret."""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from typing import TextIO

from kiosk.errors import KioskError
from kiosk.text import clean

LOG = logging.getLogger("kiosk.broker")
_LONGEST_LINE = 1000
# At their lower levels these write whole requests, tokens included, or SQL with its values.
_TALKATIVE = ("asyncio", "httpcore", "httpx", "litestar", "msal", "sqlalchemy", "uvicorn")


class _OneLine(logging.Formatter):
    """Time, level and message on one line, whatever foreign text is in it; of an exception only type and place."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info and record.exc_info[1]:
            message = f"{message}: {place(record.exc_info[1])}"
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return f"{time} {record.levelname} {clean(message, _LONGEST_LINE)}"


def to_stream(stream: TextIO) -> None:
    """Send everything that is logged in this process to one stream, INFO and above."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_OneLine())
    # Python would print a traceback where a line cannot be written.
    logging.raiseExceptions = False
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def refusal(what: str, error: KioskError) -> None:
    """One line for one refused request."""
    level = logging.ERROR if error.status >= 500 else logging.WARNING
    LOG.log(level, '%s code=%s reference=%s cause="%s"', what, error.code, error.reference, error.cause or error.code)


def place(error: BaseException) -> str:
    """Type and place of an unexpected exception. Its words are left out: they may quote what it choked on."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames[-3:]))
    return f"{type(error).__name__} at {where or 'unknown'}"
