"""What recovers or is replaced while the broker runs: certificates on disk, signing keys, the broker itself."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from kiosk.api import Broker
from kiosk.broker.tokens.signing_keys import PAUSE_SECONDS
from kiosk.clock import SystemClock
from kiosk.config.kiosk import BrokerAddress
from kiosk.errors import BrokerUnreachable, TokenBound
from kiosk.models import Ending
from kiosk.proof import Prover
from kiosk.secret import VisitKeys, release_info
from tests.broker.conftest import Start
from tests.support.broker import ROOT, MovedClock, broker_config, broker_process
from tests.support.sandbox import RunningSandbox


def replace(path: Path, content: bytes) -> None:
    """Replace a file atomically, as a careful operator does."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def test_a_replaced_certificate_serves_for_the_next_token(
    start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    clock = MovedClock()
    right = (sandbox.directory / "broker.pem").read_bytes()
    stranger = trustme.CA().issue_cert("somebody.example", key_type=trustme.KeyType.RSA)
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(right)
    mac = sandbox.device("NW-AKESSLER-14").id
    with start(clock, graph={"certificate": certificate}) as broker:

        def outcome() -> str:
            return broker.release(sandbox.token("ada"), mac).code

        def new_token_needed() -> None:
            # Graph no longer accepts the old token.
            sandbox.rotate_keys(keep_old=False)
            clock.ahead += timedelta(seconds=PAUSE_SECONDS)

        assert outcome() == ""
        replace(certificate, stranger.private_key_and_cert_chain_pem.bytes())
        # The earlier token is still valid.
        assert outcome() == ""
        new_token_needed()
        assert outcome() == "graph_certificate"
        replace(certificate, right)
        assert outcome() == ""


def test_a_file_half_written_does_not_take_the_place_of_a_good_one(
    start: Start, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    right = (sandbox.directory / "broker.pem").read_bytes()
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(right)
    mac = sandbox.device("NW-AKESSLER-14").id
    with start(graph={"certificate": certificate}, rules={"per_person": (), "per_device": ()}) as broker:
        sandbox.clear_requests()
        for content in (right, right[:700], b"", right):
            replace(certificate, content)
            assert broker.release(sandbox.token("ada"), mac).code == ""
        certificate.unlink()
        assert broker.release(sandbox.token("ada"), mac).code == ""
        assert len(sandbox.requests("/oauth2/v2.0/token")) == 1


def served_certificate(port: int, host: str) -> bytes | None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        # An address is not sent as SNI.
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        return secured.getpeercert(binary_form=True)


def test_a_replaced_certificate_of_the_listener_is_taken(sandbox: RunningSandbox, place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    authority = trustme.CA()
    first, second = (authority.issue_cert("localhost", "127.0.0.1") for _ in range(2))
    certificate, key, ca = place / "tls.pem", place / "tls.key", place / "ca.pem"
    certificate.write_bytes(first.cert_chain_pems[0].bytes())
    key.touch(0o600)
    key.write_bytes(first.private_key_pem.bytes())
    ca.write_bytes(authority.cert_pem.bytes())
    listen = {"url": f"https://localhost:{port}", "certificate": certificate, "key": key}
    with broker_process(broker_config(sandbox.directory, place, listen=listen), place, ca) as broker:
        before = served_certificate(port, "localhost")
        assert broker.ask("GET", "/healthz").status_code == 200
        replace(certificate, second.cert_chain_pems[0].bytes())
        # The certificate is new, its key is still the old one.
        assert served_certificate(port, "127.0.0.1") == served_certificate(port, "localhost") == before
        replace(key, second.private_key_pem.bytes())
        after = served_certificate(port, "127.0.0.1")
        assert after not in {None, before}
        assert served_certificate(port, "localhost") == after
        # An open connection stays open.
        assert broker.ask("GET", "/healthz").status_code == 200
    assert "the replaced certificate cannot be used, the previous one stays" in broker.log()
    assert "the certificate was replaced" in broker.log()


async def test_a_visit_goes_on_when_the_broker_is_restarted_or_killed(sandbox: RunningSandbox, place: Path) -> None:
    """The kiosk's own client with one token and one key pair, while the broker is restarted twice."""
    config = broker_config(sandbox.directory, place)
    token, keys, thief = sandbox.token("ada"), VisitKeys(), VisitKeys()
    mac, ada = sandbox.device("NW-AKESSLER-14"), sandbox.person("ada")
    address = BrokerAddress(url=config.listen.url)

    def client(of: VisitKeys) -> Broker:
        return Broker(address, lambda: f"Bearer {token}", "tty1", Prover(of, SystemClock()))

    visit = client(keys)
    with broker_process(config, place):
        await visit.session()
        assert await visit.devices()
        shown = await visit.release(mac.id, keys.public_key)
    with pytest.raises(BrokerUnreachable):
        await visit.devices()
    with broker_process(config, place) as broker:
        assert await visit.devices()
        again = await visit.release(mac.id, keys.public_key)
        info = release_info(tid=sandbox.tenant, oid=ada.oid, device_id=mac.id, release_id=again.release_id)
        with keys.open(again.sealed, info) as opened:
            assert bytes(opened[index] for index in range(len(opened))).decode() == mac.key
        await visit.closed(shown.release_id, Ending.HIDDEN, 3.0)
        await visit.closed(again.release_id, Ending.FINISHED, 4.0)
        # The binding of the token to the visit survived as well.
        stolen = client(thief)
        with pytest.raises(TokenBound):
            await stolen.devices()
        await stolen.aclose()
        ends = {row["release_id"]: row["outcome"] for row in broker.rows("release.closed")}
        assert ends == {shown.release_id: "hidden", again.release_id: "finished"}
        os.kill(broker.pid, signal.SIGKILL)
    with broker_process(config, place):
        assert await visit.devices()
    await visit.aclose()


def test_a_copy_made_while_the_broker_runs_can_be_restored(sandbox: RunningSandbox, place: Path) -> None:
    """With the commands of docs/operations.md."""
    described = (ROOT / "docs" / "operations.md").read_text()
    script = re.search(r"<<'END'\n(.*?)\nEND\n", described, re.DOTALL)
    assert script
    config = broker_config(sandbox.directory, place)
    token, mac, copy = sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id, place / "copy.db"
    with broker_process(config, place) as broker:
        assert broker.release(token, mac).code == ""
        record = place / "record.db"
        subprocess.run([sys.executable, "-c", script[1], str(record), str(copy)], check=True, timeout=30)
        assert broker.release(token, mac).code == ""
    for old in place.glob("record.db*"):
        old.unlink()
    copy.rename(record)
    program = [sys.executable, "-P", "-s", "-m", "kiosk"]
    file = str(place / "broker.toml")
    with broker_process(config, place) as broker:
        assert broker.release(token, mac).code == "record_unavailable"
    accept = [*program, "record", "accept-loss", "--config", file]
    subprocess.run(accept, check=True, cwd=ROOT, timeout=30, capture_output=True)
    with broker_process(config, place) as broker:
        assert len(broker.rows("release.done")) == 1
        # The binding of the token to its visit survived.
        assert broker.release(token, mac, keys=VisitKeys()).code == "token_bound"
    verify = [*program, "audit", "verify", "--config", file, "--public-key", str(place / "record.pub")]
    assert (
        b"with a loss accepted" in subprocess.run(verify, check=True, cwd=ROOT, timeout=30, capture_output=True).stdout
    )
