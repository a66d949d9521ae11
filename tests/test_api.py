"""The kiosk's side of the broker's interface, against the real broker and the sandbox behind it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from kiosk.api import Broker
from kiosk.clock import SystemClock
from kiosk.config.kiosk import BrokerAddress
from kiosk.errors import (
    BrokerGarbled,
    BrokerUnreachable,
    DeviceNotYours,
    KeyNotEscrowed,
    KioskError,
    TokenBound,
    TokenRefused,
)
from kiosk.models import CheckOutcome, Device, Ending, ReleaseChecked
from kiosk.proof import Prover
from kiosk.secret import VisitKeys
from kiosk.visit.visit import Visit
from tests.support.broker import running_broker
from tests.support.services import Services, services


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with services(tmp_path_factory.mktemp("services"), rules={"per_person": (), "per_device": ()}) as everything:
        yield everything


async def signed_in(running: Services, who: str, terminal: str = "tty-test") -> Visit:
    visit = Visit(running.config, SystemClock(), terminal)
    assert visit.device_code
    code = await visit.device_code.begin()
    waiting = asyncio.create_task(visit.device_code.wait())
    async with running.sandbox.phone() as phone:
        await phone.approve(code.user_code, running.sandbox.person(who).oid)
    await waiting
    await visit.open_session()
    return visit


async def test_a_visit_from_sign_in_to_the_key(running: Services) -> None:
    visit = await signed_in(running, "Ada Kessler")
    assert visit.person.name == "Ada Kessler"
    devices = await visit.broker.devices()
    mac = next(device for device in devices if not device.refusal)
    reveal = await visit.release(mac)
    key = reveal.key
    assert key is not None
    shown = bytes(key[place] for place in range(len(key))).decode()
    assert shown == running.sandbox.device(mac.name).key
    await visit.end(Ending.LOCKED)
    assert len(key) == 0
    assert reveal.over
    (closed,) = running.broker.rows("release.closed")
    assert closed["outcome"] == "locked"
    assert closed["terminal"] == "tty-test"


async def test_the_end_of_a_visit_makes_its_token_useless(running: Services) -> None:
    visit = await signed_in(running, "Ada Kessler")
    mac = next(device for device in await visit.broker.devices() if not device.refusal)
    await visit.release(mac)
    authorization = visit.sign_in.authorization()
    running.broker.forget_rows()
    await visit.end(Ending.LOCKED)
    assert [row["event"] for row in running.broker.rows()] == ["release.closed", "session.ended"]
    # A copied token finds it closed.
    copied = Broker(running.config.broker, lambda: authorization, "", prover())
    for request in (copied.session, copied.devices, copied.end_session):
        with pytest.raises(TokenBound):
            await request()
    await copied.aclose()


async def test_a_visit_without_a_sign_in_ends_nothing(running: Services) -> None:
    running.broker.forget_rows()
    visit = Visit(running.config, SystemClock(), "tty-test")
    await visit.end(Ending.LOCKED)
    assert not running.broker.rows()


class Wrong(SystemClock):
    """A kiosk's clock that is wrong."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def utc(self) -> datetime:
        return super().utc() + self._ahead


@pytest.mark.parametrize("ahead", [timedelta(days=-400), timedelta(minutes=-1), timedelta(hours=2)])
async def test_a_kiosk_with_a_wrong_clock_keeps_to_the_brokers(running: Services, ahead: timedelta) -> None:
    keys, token = VisitKeys(), running.sandbox.token("ada")
    running.broker.forget_rows()
    client = Broker(running.config.broker, lambda: f"Bearer {token}", "", Prover(keys, Wrong(ahead)))
    await client.session()
    mac = next(device for device in await client.devices() if not device.refusal)
    release = await client.release(mac.id, keys.public_key)
    await client.closed(release.release_id, Ending.FINISHED, 1.0)
    await client.aclose()
    outcomes = [(row["event"], row["outcome"]) for row in running.broker.rows()]
    assert outcomes[:2] == [("token.refused", "token_proof_time"), ("session.opened", "ok")]
    assert [event for event, outcome in outcomes if outcome == "token_proof_time"] == ["token.refused"]
    assert outcomes[-1] == ("release.closed", "finished")


async def test_a_machine_with_an_odd_name_can_ask(running: Services) -> None:
    visit = await signed_in(running, "Ada Kessler", "caf\u00e9\n tty1 ")
    assert running.broker.rows("session.opened")[-1]["terminal"] == "caf?? tty1"
    await visit.end(Ending.FINISHED)


async def test_refusals_come_back_as_what_they_are(running: Services) -> None:
    visit = await signed_in(running, "Priya Raman")
    devices = {device.name: device for device in await visit.broker.devices()}
    with pytest.raises(KeyNotEscrowed) as raised:
        await visit.release(devices["NW-PRAMAN-LOAN"])
    assert len(raised.value.reference) >= 8
    foreign = running.sandbox.device("NW-AKESSLER-14")
    stranger = Device(id=foreign.id, name="x", model="", serial="", os="macOS", os_version="", last_seen=None)
    with pytest.raises(DeviceNotYours):
        await visit.release(stranger)
    await visit.end(Ending.FINISHED)


async def test_without_a_sign_in_there_is_nothing(running: Services) -> None:
    client = Broker(running.config.broker, lambda: "Bearer nonsense", "", prover())
    with pytest.raises(TokenRefused):
        await client.session()
    await client.aclose()


async def test_a_broker_that_is_away_is_unreachable(tmp_path: Path) -> None:
    client = Broker(BrokerAddress(url=f"unix:{tmp_path}/nobody.sock"), lambda: "Bearer x", "", prover())
    with pytest.raises(BrokerUnreachable):
        await client.devices()
    await client.aclose()


def prover() -> Prover:
    return Prover(VisitKeys(), SystemClock())


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
# Deeper than any decoder follows, in a field that nobody asked for.
DEEP = b'{"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
ANSWERS = {
    "html": (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>", BrokerGarbled),
    "wrong type": (HEAD + b"Content-Length: 2\r\n\r\n[]", BrokerGarbled),
    "truncated": (HEAD + b"Content-Length: 100\r\n\r\n{", BrokerUnreachable),
    "endless": (HEAD + b"\r\n" + b"x" * (2 << 20), BrokerGarbled),
    "error without problem": (b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", BrokerGarbled),
    **{
        f"a balancer's {status}": (
            b"HTTP/1.1 %d No\r\nContent-Length: 13\r\n\r\n<html></html>" % status,
            BrokerUnreachable,
        )
        for status in (502, 503, 504)
    },
    "nested": (HEAD + b"Content-Length: %d\r\n\r\n" % len(DEEP) + DEEP, BrokerGarbled),
    "nested problem": (b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n" % len(DEEP) + DEEP, BrokerGarbled),
    "nothing": (b"", BrokerUnreachable),
    "not http": (b"220 smtp.example ESMTP\r\n", BrokerUnreachable),
}


@contextlib.contextmanager
def peer(path: Path, answer: bytes, *, ends: bool = True) -> Iterator[None]:
    """Something in the broker's place that gives one answer, and then hangs up or, without ``ends``, says no more."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        over = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                # The kiosk hangs up on an answer that does not end.
                with contextlib.suppress(BrokenPipeError):
                    connection.sendall(answer)
                if not ends:
                    over.wait()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(("answer", "error"), ANSWERS.values(), ids=ANSWERS)
async def test_nonsense_from_the_broker_is_one_of_our_errors(
    tmp_path: Path, answer: bytes, error: type[KioskError]
) -> None:
    path = tmp_path / "s"
    with peer(path, answer):
        client = Broker(BrokerAddress(url=f"unix:{path}"), lambda: "Bearer x", "", prover())
        with pytest.raises(error):
            await client.session()
        await client.aclose()


@pytest.mark.parametrize("answer", [b"", HEAD + b"Content-Length: 100\r\n\r\n{"], ids=["silent", "stops"])
async def test_a_broker_that_hangs_is_unreachable(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "s"
    with peer(path, answer, ends=False):
        client = Broker(BrokerAddress(url=f"unix:{path}", total_seconds=1), lambda: "Bearer x", "", prover())
        with pytest.raises(BrokerUnreachable):
            await client.session()
        await client.aclose()


Ask = Callable[[Broker], Awaitable[object]]
ASKED: dict[str, Ask] = {
    "session": lambda client: client.session(),
    "devices": lambda client: client.devices(),
    "release": lambda client: client.release("id", b"key"),
    "closed": lambda client: client.closed("id", Ending.LOCKED, 1),
    "checked": lambda client: client.checked("id", ReleaseChecked(how=CheckOutcome.RIGHT, groups_right=6)),
}
UNSENDABLE = "ey\u00e9\u00e8"


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("why", ["token", "address", "closed"])
async def test_what_cannot_be_sent_is_one_of_our_errors(tmp_path: Path, ask: Ask, why: str) -> None:
    """Whatever keeps a request from being made: nothing listens here, and nothing is looked for."""
    address = BrokerAddress(url="unix:" + ("/" + "n" * 200 if why == "address" else f"{tmp_path}/nobody.sock"))
    token = UNSENDABLE if why == "token" else "x"
    client = Broker(address, lambda: f"Bearer {token}", "", prover())
    if why == "closed":
        await client.aclose()
    with pytest.raises(KioskError) as raised:
        await ask(client)
    assert UNSENDABLE not in f"{raised.value} {raised.value.cause}"
    await client.aclose()


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.release("\udc80", b"key"),
        lambda client: client.release("n" * 70_000, b"key"),
        lambda client: client.release("id", b"key", "\udc80"),
        lambda client: client.closed("\udc80", Ending.LOCKED, 1),
    ],
    ids=["surrogate", "long", "reason", "closed"],
)
async def test_an_id_or_a_reason_that_cannot_be_sent_is_one_of_our_errors(tmp_path: Path, ask: Ask) -> None:
    client = Broker(BrokerAddress(url=f"unix:{tmp_path}/nobody.sock"), lambda: "Bearer x", "", prover())
    with pytest.raises(KioskError):
        await ask(client)
    await client.aclose()


async def test_the_end_of_one_reveal_does_not_touch_the_next(running: Services) -> None:
    """A key that is fetched again while the broker is still being told of the last one's end stays readable."""
    visit = await signed_in(running, "Ada Kessler")
    mac = next(device for device in await visit.broker.devices() if not device.refusal)
    first = await visit.release(mac)
    second = await visit.release(mac)
    first.finish(Ending.HIDDEN)
    await visit.tell_end(first, Ending.HIDDEN)
    assert [first.visible, second.visible] == [False, True]
    assert visit.reveal_deadlines == [second.deadline.at]
    await visit.end(Ending.LOCKED)
    assert [first.visible, second.visible] == [False, False]
    outcomes = {row["release_id"]: row["outcome"] for row in running.broker.rows("release.closed")}
    assert (outcomes[first.release_id], outcomes[second.release_id]) == ("hidden", "locked")


@pytest.mark.parametrize("broker", ["away", "silent"])
async def test_what_could_not_be_told_at_first_is_told_at_the_end(
    running: Services, tmp_path: Path, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that is restarted just as the countdown ends still learns that it was the countdown."""
    monkeypatch.setattr("kiosk.api._FAREWELL_SECONDS", 0.2)
    path = tmp_path / "s"
    listen = msgspec.structs.replace(running.broker.config.listen, url=f"unix:{path}")
    config = msgspec.structs.replace(running.broker.config, listen=listen)
    kiosk = msgspec.structs.replace(running.config, broker=BrokerAddress(url=f"unix:{path}"))
    with running_broker(config):
        visit = await signed_in(Services(running.sandbox, running.broker, kiosk), "Ada Kessler")
        mac = next(device for device in await visit.broker.devices() if not device.refusal)
        reveal = await visit.release(mac)
    key = reveal.key
    check = reveal.copy_check
    assert key is not None
    assert check is not None
    check.check(1, bytearray(key[place] for place in range(4)))
    with peer(path, b"", ends=False) if broker == "silent" else contextlib.nullcontext():
        reveal.finish(Ending.COUNTDOWN)
        await visit.tell_end(reveal, Ending.COUNTDOWN)
    await visit.tell_check(reveal)
    path.unlink(missing_ok=True)
    with running_broker(config):
        await visit.end(Ending.FINISHED)
    told = [row for row in running.broker.rows() if row["release_id"] == reveal.release_id]
    assert {row["event"]: row["outcome"] for row in told}["release.closed"] == "countdown"
    assert {row["event"]: row["outcome"] for row in told}["release.checked"] == "incomplete"
