"""The protocol of sinks, and the time limits that they share."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeAlias

from kiosk.broker.record.chain import Appended
from kiosk.clock import Deadline

ATTEMPT_SECONDS = 5.0
CONNECT_SECONDS = 2.0
APPLICATION = "kiosk-broker"
TOO_LONG = "the attempt took too long"

Addresses: TypeAlias = list[tuple[Any, Any, int, str, Any]]


class Sink(Protocol):
    """A destination for rows and checkpoints."""

    def send(self, batch: Sequence[Appended], deadline: Deadline) -> None:
        """Send the batch in order and return once it is delivered, as far as this kind of sink can tell.

        Runs on its own thread and ends at the deadline, however slow the receiver is. Raises OSError or HTTPError.
        """


def rest(deadline: Deadline) -> float:
    """Return the seconds that the next step may take. Raises TimeoutError if none are left."""
    if not (left := deadline.left()):
        raise TimeoutError(TOO_LONG)
    return left


def look_up(host: str | bytes | None, port: str | int | bytes | None, **hints: int) -> Future[Addresses]:
    """Look up the addresses of a name. The system's resolver has no timeout, so its thread may be left behind."""
    found: Future[Addresses] = Future()

    def work() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, **hints))
        except Exception as error:
            found.set_exception(error)

    found.set_running_or_notify_cancel()
    threading.Thread(target=work, name="names", daemon=True).start()
    return found
