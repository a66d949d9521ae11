"""Writes the log of a service to stderr in logfmt: one line of ``key=value`` pairs per event.

No line holds a secret or a person's name. ``docs/operations.md`` lists the events and their fields.
"""

from __future__ import annotations

import contextvars
import logging
import re
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from kiosk.errors import KioskError
from kiosk.process.logging import place_of
from kiosk.text import clean

LOG = logging.getLogger("kiosk.events")
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_LONGEST_VALUE = 1000
# Below WARNING these log whole requests, tokens included, or SQL with its values.
_TALKATIVE = ("asyncio", "httpcore", "httpx", "sqlalchemy", "uvicorn")
_BARE = re.compile(r"[^\s\"=\\]+")
_JOURNAL = "/run/systemd/journal/stdout"
# Prefixes by which the journal knows the priority of a line: sd-daemon(3).
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}

_bound: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("bound")


class _Line(logging.Formatter):
    """Formats a record as exactly one line, whatever foreign text is in it; of an exception only type and place."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        words = record.getMessage()
        pairs = f"level={record.levelname.lower()} "
        pairs += words if hasattr(record, "is_pairs") else _pairs({"event": "message", "text": words})
        if record.exc_info and record.exc_info[1]:
            pairs += " " + _pairs({"error": place_of(record.exc_info[1])})
        if self._journal:
            return f"<{_PRIORITIES.get(record.levelno, 6)}>{pairs}"
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f"time={time} {pairs}"


def to_stream(stream: TextIO, level: int = logging.INFO) -> None:
    """Send everything that this process logs to one stream, with priorities if it leads to systemd's journal."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Line(journal=_is_journal(stream)))
    # Python would print a traceback if a line cannot be written.
    logging.raiseExceptions = False
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def bind(**fields: str) -> None:
    """Add these fields to every event of the current request."""
    _bound.set(_bound.get({}) | fields)


def event(name: str, level: int = logging.INFO, **fields: object) -> None:
    """Log one event. Leaves out fields without a value."""
    if LOG.isEnabledFor(level):
        known = {key: value for key, value in (_bound.get({}) | fields).items() if value not in {None, ""}}
        LOG.log(level, "%s", _pairs({"event": name} | known), extra={"is_pairs": True})


def refusal(what: str, error: KioskError) -> None:
    """Log a refused request."""
    event(
        "refused",
        logging.ERROR if error.status >= 500 else logging.WARNING,
        what=what,
        code=error.code,
        reference=error.reference,
        client_request_id=error.client_request_id,
        request_id=error.request_id,
        cause=error.cause or error.code,
    )


def _pairs(fields: Mapping[str, object]) -> str:
    return " ".join(f"{key}={_value(value)}" for key, value in fields.items())


def _value(value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else clean(str(value), _LONGEST_VALUE)
    if _BARE.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_journal(stream: TextIO) -> bool:
    """Whether systemd connected this stream to the journal. ($JOURNAL_STREAM is gone: the environment is cleared.)"""
    try:
        with socket.socket(fileno=stream.fileno()) as connection:
            try:
                return bool(connection.getpeername() == _JOURNAL)
            finally:
                connection.detach()
    except (OSError, ValueError):
        return False
