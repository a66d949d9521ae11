"""Says who sends a request: the user at the other end of a unix socket, or the names in a client certificate."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kiosk.text import clean

_STATE = "peer"
_LONGEST_NAME = 253
# unix(7): what the kernel says of the process that connected.
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True)
class Peer:
    """Who is at the other end of a connection, as far as it has been proved.

    ``uid`` is the user of a unix socket. ``names`` are the DNS names, in lower case, of a client certificate that was
    verified, or its common name if it has none; ``name`` is the one to call the peer by. Over TCP without one, both are
    empty. ``socket`` is the path of the unix socket on which the peer was accepted.
    """

    uid: int | None = None
    names: frozenset[str] = frozenset()
    name: str = ""
    socket: str = field(default="", compare=False)


NOBODY = Peer()


class _Socket(Protocol):
    def getsockopt(self, level: int, name: int, length: int, /) -> bytes: ...


class _Transport(Protocol):
    def get_extra_info(self, name: str, /) -> Any: ...


def uid_of(sock: _Socket) -> int:
    """Return the user who connected to a unix socket. Raises OSError."""
    uid: int
    _pid, uid, _gid = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return uid


def peer_at(transport: _Transport) -> Peer:
    """Return the peer of a connection that has just been made. Raises OSError if it has gone again."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        return Peer(uid=uid_of(sock), socket=str(sock.getsockname()))
    return _named(transport.get_extra_info("peercert") or {})


def _named(certificate: Mapping[str, Any]) -> Peer:
    """Return the peer of a verified certificate, in the form that ``ssl`` gives it.

    An authority may check the DNS names and leave the common name to the applicant.
    """
    dns = [_cleaned(value.lower()) for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    subject = [pair for part in certificate.get("subject", ()) for pair in part]
    names = dns or [_cleaned(value) for key, value in subject if key == "commonName"]
    names = [name for name in names if name]
    return Peer(names=frozenset(names), name=names[0] if names else "")


def _cleaned(name: str) -> str:
    return clean(name, _LONGEST_NAME)


def state_of(peer: Peer) -> dict[str, Any]:
    """Return the state that the requests of this peer carry in their scope."""
    return {_STATE: peer}


def peer_of(scope: Mapping[str, Any]) -> Peer:
    """Return who sent the request of this scope."""
    peer = scope.get("state", {}).get(_STATE)
    return peer if isinstance(peer, Peer) else NOBODY


def name_of(peer: Peer) -> str:
    """Return what a kiosk is called on the record and in limits, or "" if no certificate says so.

    The first DNS name of its certificate, otherwise the common name.
    """
    return peer.name or min(peer.names, default="")
