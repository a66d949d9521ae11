"""Sends to syslog (RFC 5424): in datagrams, over TCP with octet counting (RFC 6587), and over TLS (RFC 5425)."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Sequence

from kiosk.broker.record.chain import Appended, Row
from kiosk.broker.record.schema import OK, UNKNOWN, Event
from kiosk.broker.sinks.sink import APPLICATION, CONNECT_SECONDS, look_up, rest
from kiosk.clock import Deadline
from kiosk.models import Ending

_AUTHPRIV = 10
_WARNING, _NOTICE, _INFO = 4, 5, 6
# Their outcome says how a reveal or a check ended; it is not a refusal.
_ENDINGS = frozenset({Event.CLOSED, Event.CHECKED})
_IN_DOUBT = frozenset({UNKNOWN, Ending.CRASHED})
_BOM = b"\xef\xbb\xbf"
_LARGEST_DATAGRAM = 60_000
_LONGEST_HOST = 255


def severity(item: Appended) -> int:
    """Return warning for refusals and uncertain endings, notice for other rows, informational for checkpoints."""
    if not isinstance(item, Row):
        return _INFO
    entry = item.entry
    if entry.event in _ENDINGS:
        return _WARNING if entry.outcome in _IN_DOUBT else _NOTICE
    return _WARNING if entry.event.endswith(".refused") or entry.outcome != OK else _NOTICE


def message(item: Appended, host: str) -> bytes:
    """Return one syslog message: the event as message id, the whole row or checkpoint as JSON."""
    event = item.entry.event if isinstance(item, Row) else "checkpoint"
    header = f"<{_AUTHPRIV * 8 + severity(item)}>1 {item.time} {host} {APPLICATION} {os.getpid()} {event}"
    # No structured data: its names require an enterprise number of our own, and the JSON has all of it.
    return f"{header} - ".encode() + _BOM + item.line()


def _host() -> str:
    return re.sub(r"[^!-~]", "", socket.gethostname())[:_LONGEST_HOST] or "-"


class DatagramSyslog:
    """Sends each message as one datagram. Nothing confirms a datagram: over UDP it may get lost."""

    def __init__(self, address: str | tuple[str, int]) -> None:
        """``address`` is a path, or a host with its port."""
        self._address = address

    def send(self, batch: Sequence[Appended], deadline: Deadline) -> None:
        host = _host()
        with self._connected(deadline) as sock:
            for item in batch:
                sock.settimeout(rest(deadline))
                # A datagram that the kernel refuses would block all that follow. The row's number comes first.
                sock.send(message(item, host)[:_LARGEST_DATAGRAM])

    def _connected(self, deadline: Deadline) -> socket.socket:
        if not isinstance(self._address, str):
            return _connected(*self._address, socket.SOCK_DGRAM, deadline)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            sock.connect(self._address)
        except OSError:
            sock.close()
            raise
        return sock


class StreamSyslog:
    """Sends each batch over its own connection and waits until the collector closes it after reading everything.

    Syslog has no acknowledgement: a message that was written into a connection may get lost with it.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self._address = host, port
        self._tls = tls

    def send(self, batch: Sequence[Appended], deadline: Deadline) -> None:
        host = _host()
        messages = [message(item, host) for item in batch]
        content = b"".join(b"%d %b" % (len(one), one) for one in messages)
        with _connected(*self._address, socket.SOCK_STREAM, deadline) as plain:
            plain.settimeout(rest(deadline))
            if self._tls is None:
                plain.sendall(content)
                plain.shutdown(socket.SHUT_WR)
                _read_to_end(plain, deadline)
                return
            with self._tls.wrap_socket(plain, server_hostname=self._address[0]) as secured:
                secured.settimeout(rest(deadline))
                secured.sendall(content)
                secured.settimeout(rest(deadline))
                _close_tls(secured)


def _close_tls(secured: ssl.SSLSocket) -> None:
    """Close our side of TLS and wait for the collector's. Raises OSError."""
    try:
        secured.unwrap()
    except ssl.SSLEOFError:
        # Some collectors close the connection without a close_notify of their own.
        return
    except ssl.SSLError as error:
        raise ConnectionError(f"the collector broke off: {error.reason}") from None
    except OSError as error:
        # An abrupt close has no errno. Neither has a timeout, but a silent collector has accepted nothing.
        if isinstance(error, TimeoutError) or error.errno:
            raise


def _read_to_end(sock: socket.socket, deadline: Deadline) -> None:
    """Read until the collector closes the connection. Raises OSError."""
    sock.settimeout(rest(deadline))
    while sock.recv(4096):
        sock.settimeout(rest(deadline))


def _connected(host: str, port: int, kind: socket.SocketKind, deadline: Deadline) -> socket.socket:
    """Connect to the first address of the host that accepts. Raises OSError."""
    failure = OSError(f"{host} has no address")
    for family, _, protocol, _, place in look_up(host, port, type=kind).result(rest(deadline)):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(min(rest(deadline), CONNECT_SECONDS))
            sock.connect(place)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure
