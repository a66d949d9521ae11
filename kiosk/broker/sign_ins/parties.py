"""Tells kiosks and the sign-in page apart, by what a connection proves of its other end."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass, field
from pathlib import Path

from kiosk.config.broker import BrokerConfig
from kiosk.errors import ConfigError, KioskNotKnown, SignInPageNotKnown
from kiosk.models import SignInMethod
from kiosk.net.http import UNIX_PREFIX
from kiosk.net.peer import Peer, name_of
from kiosk.text import clean

_FILE = "broker.toml"
# user_namespaces(7): the users who have a number here. The kernel gives all others the second one.
_MAPPED = Path("/proc/self/uid_map")
_OVERFLOW = Path("/proc/sys/kernel/overflowuid")


@dataclass(frozen=True)
class Parties:
    """Who may act as what.

    ``page_socket`` is the path of the page's own socket, if it has one: then only there it is served, and nothing else
    is. With ``as_kiosks`` it runs as the user of kiosks, and only its socket tells them apart. ``demands_certificates``
    says that every kiosk on TCP has shown one.
    """

    page_uid: int | None = None
    page_name: str = ""
    page_socket: str = ""
    as_kiosks: bool = False
    demands_certificates: bool = False
    hidden_uid: int = field(default_factory=lambda: int(_OVERFLOW.read_text()), compare=False)

    @classmethod
    def of(cls, config: BrokerConfig) -> Parties:
        """Return the parties as configured. Raises ConfigError if people sign in on a page that could not be known."""
        settings, listen = config.sign_in, config.listen
        demands = bool(listen.client_ca) and not listen.url.startswith(UNIX_PREFIX)
        if settings.method is not SignInMethod.WEB:
            return cls(demands_certificates=demands)
        _expect_address(settings.page)
        uid = user_id(settings.page_user) if settings.page_user else None
        if settings.page_listen:
            return cls(
                page_uid=uid,
                page_socket=settings.page_listen.removeprefix(UNIX_PREFIX),
                as_kiosks=uid in {None, os.geteuid()},
                demands_certificates=demands,
            )
        if listen.url.startswith(UNIX_PREFIX):
            if uid is None:
                raise _missing("sign_in.page_user", "the user that kiosk sign-in runs as, or set sign_in.page_listen")
            return cls(uid)
        if not settings.page_certificate:
            raise _missing("sign_in.page_certificate", "the name in the certificate of the sign-in page")
        if not listen.client_ca:
            raise _missing("listen.client_ca", "the authority that issued the certificate of the sign-in page")
        return cls(page_name=settings.page_certificate.lower(), demands_certificates=demands)

    def expect_kiosk(self, peer: Peer) -> None:
        """Check that a request may come from a kiosk. Raises KioskNotKnown."""
        if self._at_page_socket(peer) or (self._is_page(peer) and not self.as_kiosks):
            raise KioskNotKnown("this is the sign-in page")
        known = self.as_kiosks or self.page_uid in {None, self.hidden_uid}
        if not known and peer.uid == self.hidden_uid:
            raise KioskNotKnown("a user whom the kernel hides, and who may be the sign-in page's")
        if self.demands_certificates and not peer.names:
            raise KioskNotKnown("no client certificate")

    def expect_page(self, peer: Peer) -> None:
        """Check that a request comes from the sign-in page. Raises SignInPageNotKnown."""
        if self.page_socket:
            # Who may connect to it, its mode says.
            known = self._at_page_socket(peer) and self.page_uid in {None, peer.uid}
        else:
            known = self._is_page(peer)
        if not known:
            raise SignInPageNotKnown(f"from={name_of_peer(peer)}")

    def terminal_of(self, peer: Peer, said: str | None) -> str:
        """Return the name of a terminal. Its first word, the kiosk, is that of the certificate, if there is one."""
        name = name_of(peer) if self.demands_certificates else ""
        if not name:
            return clean(said)
        return clean(f"{'-'.join(name.split())} {(said or '').partition(' ')[2]}")

    def _at_page_socket(self, peer: Peer) -> bool:
        return bool(self.page_socket) and peer.socket == self.page_socket

    def _is_page(self, peer: Peer) -> bool:
        by_user = self.page_uid is not None and peer.uid == self.page_uid
        return by_user or (bool(self.page_name) and self.page_name in {name.lower() for name in peer.names})


def name_of_peer(peer: Peer) -> str:
    """Return what the record calls a peer, which also tells apart those who have terminals of the same name."""
    if peer.uid is not None:
        return f"user_{peer.uid}"
    return "-".join(clean(name_of(peer)).split()) or "unknown"


def _expect_address(page: str | None) -> None:
    """Check that there is an address to show, of which a short link can be made. Raises ConfigError."""
    if not page:
        raise _missing("sign_in.page", "the address of the sign-in page, or set sign_in.method to device_code")
    if page.removeprefix("https://").rstrip("/").count("/") or not page.isascii() or set("?#@") & set(page):
        raise ConfigError(_FILE, f"expected https:// and a host, and nothing after it: {page}", key="sign_in.page")


def user_id(user: str) -> int:
    """Return the number of a user of this machine. Raises ConfigError."""
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ConfigError(_FILE, f"expected a user of this machine: {user}", key="sign_in.page_user") from None
    if not _is_mapped(uid):
        reason = f"the kernel hides this user from the broker: {user} (set PrivateUsers=no in its unit)"
        raise ConfigError(_FILE, reason, key="sign_in.page_user")
    return uid


def _is_mapped(uid: int) -> bool:
    """Whether a user has a number of their own in the user namespace of this process."""
    ranges = (map(int, line.split()) for line in _MAPPED.read_text().splitlines())
    return any(first <= uid < first + count for first, _outside, count in ranges)


def _missing(key: str, what: str) -> ConfigError:
    return ConfigError(_FILE, f"missing: {what}", key=key)
