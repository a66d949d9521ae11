"""Who is a kiosk and who is the sign-in page, and configurations that could not tell."""

from __future__ import annotations

import getpass
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from kiosk.broker.server import listening_to_page
from kiosk.broker.sign_ins.parties import Parties
from kiosk.errors import ConfigError, KioskNotKnown, SignInPageNotKnown
from kiosk.net.peer import NOBODY, Peer
from tests.support.broker import broker_config
from tests.support.sandbox import RunningSandbox
from tests.support.sign_ins import PAGE

HTTPS = {"url": "https://broker.example"}
MISSING: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"page": None}, {}, "sign_in.page: missing"),
    ({"page": "https://go.example/kiosk"}, {}, "sign_in.page: expected https:// and a host, and nothing after it"),
    ({"page": "https://go.example?x"}, {}, "sign_in.page: expected"),
    ({"page": "https://me@go.example"}, {}, "sign_in.page: expected"),
    ({"page": "https://gö.example"}, {}, "sign_in.page: expected"),
    ({"page_user": None}, {}, "sign_in.page_user: missing"),
    ({"page_user": "nobody-of-this-name"}, {}, "sign_in.page_user: expected a user of this machine"),
    ({}, HTTPS, "sign_in.page_certificate: missing"),
    ({"page_certificate": "page.example"}, HTTPS, "listen.client_ca: missing"),
]


def parties(sandbox: RunningSandbox, place: Path, listen: dict[str, Any] | None = None, **sign_in: Any) -> Parties:
    whole = {"method": "web", "page": PAGE, "page_user": "nobody", "page_listen": None} | sign_in
    return Parties.of(broker_config(sandbox.directory, place, listen=listen or {}, sign_in=whole))


@pytest.mark.parametrize(("sign_in", "listen", "expected"), MISSING)
def test_a_page_that_could_not_be_known(
    sandbox: RunningSandbox, place: Path, sign_in: dict[str, Any], listen: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError) as error:
        parties(sandbox, place, listen, **sign_in)
    assert expected in str(error.value)


@pytest.mark.parametrize("page", [PAGE, f"{PAGE}/", f"{PAGE}:8443"])
def test_addresses_of_a_page(sandbox: RunningSandbox, place: Path, page: str) -> None:
    assert parties(sandbox, place, page=page)


def may(known: Parties, peer: Peer) -> str:
    """Return what a peer may act as."""
    found = ""
    for side, check, refusal in (
        ("kiosk", known.expect_kiosk, KioskNotKnown),
        ("page", known.expect_page, SignInPageNotKnown),
    ):
        try:
            check(peer)
        except refusal:
            continue
        found += side
    return found


NAMED = Peer(names=frozenset({"page.example", "Page 1"}), name="page.example")
OTHER = Peer(names=frozenset({"desk7.example"}), name="desk7.example")


def test_a_user_whom_the_namespace_hides_is_nobody(
    sandbox: RunningSandbox, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a user namespace the kernel gives all users who are not mapped one number: also the sign-in page."""
    overflow = int(Path("/proc/sys/kernel/overflowuid").read_text())
    assert may(Parties(page_uid=7), Peer(uid=overflow)) == ""
    assert may(Parties(), Peer(uid=overflow)) == "kiosk"
    users = place / "uid_map"
    monkeypatch.setattr("kiosk.broker.sign_ins.parties._MAPPED", users)
    users.write_text(f"         0          0          1\n      {os.geteuid()}       {os.geteuid()}          1\n")
    with pytest.raises(ConfigError) as error:
        parties(sandbox, place, page_user="daemon")
    assert "sign_in.page_user: the kernel hides this user from the broker: daemon" in str(error.value)
    users.write_text("         0          0 4294967295\n")
    assert parties(sandbox, place, page_user="daemon").page_uid == pwd.getpwnam("daemon").pw_uid


def test_nobody_is_both(sandbox: RunningSandbox, place: Path) -> None:
    by_user = Parties(page_uid=7)
    assert [may(by_user, Peer(uid=uid)) for uid in (7, 8, 0)] == ["page", "kiosk", "kiosk"]
    by_name = Parties(page_name="page.example", demands_certificates=True)
    assert [may(by_name, peer) for peer in (NAMED, OTHER, NOBODY)] == ["page", "kiosk", ""]
    device_code = parties(sandbox, place, method="device_code")
    assert [may(device_code, peer) for peer in (Peer(uid=0), NOBODY, NAMED)] == ["kiosk"] * 3
    with_socket = parties(sandbox, place, page_listen=f"unix:{place}/page.sock", page_user="nobody")
    assert with_socket.page_uid
    nobody, ours = with_socket.page_uid, os.geteuid()
    peers = [Peer(uid=uid, socket=path) for uid in (nobody, ours) for path in (f"{place}/page.sock", f"{place}/x")]
    assert [may(with_socket, peer) for peer in peers] == ["page", "", "", "kiosk"]
    as_kiosks = parties(sandbox, place, page_listen=f"unix:{place}/page.sock", page_user=getpass.getuser())
    assert [may(as_kiosks, peer) for peer in peers] == ["", "kiosk", "page", "kiosk"]


@pytest.mark.parametrize(("user", "mode"), [(None, 0o600), (getpass.getuser(), 0o600), ("nobody", 0o660)])
def test_others_cannot_open_the_socket_of_the_page(
    sandbox: RunningSandbox, place: Path, user: str | None, mode: int
) -> None:
    file = place / "page.sock"
    sign_in = {"method": "web", "page": PAGE, "page_user": user, "page_listen": f"unix:{file}"}
    with listening_to_page(broker_config(sandbox.directory, place, sign_in=sign_in).sign_in) as sockets:
        assert len(sockets) == 1
        assert file.stat().st_mode & 0o777 == mode
    assert not file.exists()


def test_the_kiosk_is_called_what_its_certificate_says() -> None:
    known = Parties(demands_certificates=True)
    assert known.terminal_of(OTHER, "desk9 tty1 from 192.0.2.1") == "desk7.example tty1 from 192.0.2.1"
    assert known.terminal_of(OTHER, None) == "desk7.example"
    assert known.terminal_of(Peer(names=frozenset({"Desk 7"}), name="Desk 7"), "x tty1") == "Desk-7 tty1"
    # Without certificates, and on a unix socket, it says so itself.
    assert Parties().terminal_of(OTHER, "desk9 tty1") == "desk9 tty1"
    assert known.terminal_of(Peer(uid=7), "desk9 tty1\x1b[2J") == "desk9 tty1\N{REPLACEMENT CHARACTER}[2J"
