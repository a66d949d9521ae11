"""Play every fault at every call of kiosk and broker, with the real flow on real connections.

Each cell is one complete visit. It meets its fault, shows a screen with a known cause, goes on when the fault is over,
and ends with the right key on the screen and a record of what happened.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import gc
import logging
import re
import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from kiosk.api import tell_lost
from kiosk.config.kiosk import KioskConfig
from kiosk.errors import BY_CODE, DeviceRefused, KioskError, SignInUnreachable
from kiosk.identity.device_code import DeviceCode
from kiosk.models import Device, Ending, Person
from kiosk.sandbox.certificates import make_certificates
from kiosk.terminal.recorders import Recorders
from kiosk.visit.answers import (
    AfterCard,
    AfterCheck,
    AfterReveal,
    Choice,
    DigitsNotice,
    Identity,
    Network,
    Renewal,
    SignInOutcome,
)
from kiosk.visit.context import VisitContext, VisitStart
from kiosk.visit.flow import Flow
from kiosk.visit.guard import VisitGuard
from kiosk.visit.open_reveals import OpenReveals
from kiosk.visit.phone_progress import PhoneProgress
from kiosk.visit.reveal import Reveal
from kiosk.visit.ways_out import VisitOver
from tests.faults.calls import (
    CALLS,
    LINE_FAULTS,
    MISSING,
    STATUSES,
    TOKEN,
    Call,
    http_faults,
    line_faults,
    shapes,
)
from tests.faults.product import LIMITS, WHO, Cell, Product
from tests.support.relay import spoiled_servers

PRODUCTS = 4
_MOST_AGAIN = 5
_SLOW = {"hang", "trickle", "silent"}
# A token or a recovery key.
SECRET = re.compile(r"eyJ[\w-]{20}|\b[A-Z0-9]{4}(-[A-Z0-9]{4}){5}\b")
# A visit that takes longer is stuck, even on a busy machine: every configured limit is far below.
STUCK_SECONDS = 90
MOST_TROUBLES = 4
NOWHERE = "https://no-such-host.invalid"


def cells(*, every: bool) -> Iterator[Cell]:
    """Yield the cells of the matrix; unless it is ``every`` one, without those that only repeat others."""
    for call in CALLS:
        for name, fault in http_faults(call, every=every):
            yield Cell(call, name, fault=fault, harmless=name == "delay" and not call.keyless)
        for field, value in shapes(call, every=every):
            change = {"kind": "set", "field": field} | ({} if value is MISSING else {"value": value})
            shown = "missing" if value is MISSING else repr(value)[:40]
            yield Cell(call, f"{field} is {shown}", fault=change, harmless=field.endswith("extra") and not call.keyless)
        for line in line_faults(call, every=every):
            yield Cell(call, line, line=line)
        if call.dns:
            yield _nowhere(call)


def _nowhere(call: Call) -> Cell:
    """Return the cell in which the name of the service does not resolve."""
    match call.dns:
        case "sign_in":
            return Cell(call, "no such name", kiosk={"device_code": {"authority": f"{NOWHERE}/t"}})
        case "broker":
            return Cell(call, "no such name", kiosk={"broker": {"url": NOWHERE}})
        case "tokens":
            return Cell(call, "no such name", broker={"tokens": {"authority": f"{NOWHERE}/t"}})
        case "graph.authority":
            return Cell(call, "no such name", broker={"graph": {"authority": f"{NOWHERE}/t"}})
    return Cell(call, "no such name", broker={"graph": {"url": f"{NOWHERE}/beta"}})


class Script:
    """A UI without a terminal. Goes one step further than the fault, and collects the errors that it should show."""

    def __init__(self, product: Product, cell: Cell) -> None:
        self.troubles: list[KioskError] = []
        self.codes: list[str] = []
        self.listed: Sequence[Device] = ()
        self.key = ""
        self._product = product
        self._cell = cell
        self.reads_key = cell.call.phase in {"release", "closed", "lost"}

    async def welcome(self) -> None:
        """Begins at once."""

    def network(self, network: Network) -> None:
        """Nobody looks for a network before the first visit."""

    async def working(self, words: str, step: int) -> None:
        await asyncio.Event().wait()

    async def phone_sign_in(self, sign_in: PhoneProgress, *, renewal: Renewal | None) -> None:
        raise AssertionError("the device code is configured")

    async def digits(self, sign_in: PhoneProgress, *, tries: int, notice: DigitsNotice | None) -> bytearray | None:
        raise AssertionError("the device code is configured")

    async def device_code(self, code: DeviceCode, *, renewal: Renewal | None) -> SignInOutcome:
        self.codes.append(code.user_code)
        self._product.approve()
        refusals = 0
        while not code.deadline.passed():
            # The network comes back after two failed polls, and the code must still be the same one. The relay does not
            # count refused connections, so rounds of this loop are counted instead.
            refusals += self._cell.line == "refused"
            if self._cell.call.name == "kiosk polls for the token" and max(self._product.struck, refusals // 50) >= 2:
                await self._product.mend()
            await asyncio.sleep(0.02)
        return SignInOutcome.EXPIRED

    async def confirm(self, person: Person) -> Identity:
        self._product.person = person
        return Identity.NOT_MINE if self._cell.call.phase == "sign_in" else Identity.MINE

    async def devices(self, devices: Sequence[Device], *, chosen: str) -> Device | None:
        self.listed = devices
        if self.key or not self.reads_key:
            return None
        return next((one for one in devices if one.refusal is None and one.id), None)

    async def reason(self, prompt: str | None, *, required: bool, typed: str) -> str | None:
        return "INC1"

    async def reveal(self, reveal: Reveal, recorders: Recorders) -> AfterReveal:
        assert reveal.key is not None
        self.key = bytes(reveal.key[at] for at in range(len(reveal.key))).decode()
        reveal.finish(Ending.HIDDEN)
        return AfterReveal.BACK

    async def copy_check(self, reveal: Reveal) -> AfterCheck:
        raise AssertionError("nobody has asked for it")

    async def what_now(self, device: Device) -> AfterCard:
        raise AssertionError("nobody has asked for it")

    async def trouble(self, error: KioskError, *, leave: str, step: int, device: Device | None) -> Choice:
        self.troubles.append(error)
        assert len(self.troubles) <= MOST_TROUBLES, [one.code for one in self.troubles]
        await self._product.mend()
        return Choice.LEAVE if isinstance(error, DeviceRefused) else Choice.AGAIN


async def visit(product: Product, cell: Cell, config: KioskConfig) -> Script:
    """Play one visit from welcome to goodbye, and what the supervisor does after it."""
    ui, open_reveals = Script(product, cell), OpenReveals()
    over: list[Ending] = []
    context = VisitContext(
        config=config, clock=product.clock, terminal="tty-fault", start=VisitStart(open_reveals=open_reveals)
    )
    guard = VisitGuard(context, began=lambda: None, over=over.append)
    guard.guarded = False
    with pytest.raises(VisitOver) as ended:
        await Flow(ui, guard).run()
    guard.end(ended.value.how)
    await guard.farewell(ended.value.how)
    await asyncio.gather(*guard._telling)
    if left_open := open_reveals.left_open():
        await product.enter("lost")
        await asyncio.to_thread(tell_lost, config.broker, "tty-fault", left_open, Ending.LOST)
    return ui


async def play(product: Product, cell: Cell) -> Script:
    product.person = Person(tid="", oid="", name="", address="")
    async with product.playing(cell) as config, asyncio.timeout(STUCK_SECONDS):
        if cell.kiosk or cell.broker:
            return await _without_service(product, cell, config)
        ui = await visit(product, cell, config)
        check_person(product, ui)
        check_record(product, ui)
        return ui


async def _without_service(product: Product, cell: Cell, config: KioskConfig) -> Script:
    """Play a visit whose service does not come back: the person leaves at the first error."""
    ui = Script(product, cell)

    async def leave(error: KioskError, **_: Any) -> Choice:
        ui.troubles.append(error)
        return Choice.LEAVE

    ui.trouble = leave  # type: ignore[method-assign]
    context = VisitContext(config=config, clock=product.clock, terminal="tty-fault")
    guard = VisitGuard(context, began=lambda: None, over=lambda _: None)
    guard.guarded = False
    with pytest.raises(VisitOver):
        await Flow(ui, guard).run()
    await guard.farewell(Ending.FINISHED)
    return ui


def check_person(product: Product, ui: Script) -> None:
    """Check that the person got to their own key, and that each listed device is theirs and listed once."""
    ada = product.sandbox.directory.find_person(WHO)
    assert ada is not None
    mine = {device.id: device for device in product.sandbox.directory.devices_of(ada.oid)}
    shown = [device.id for device in ui.listed]
    assert product.person.oid == ada.oid, product.person
    assert len(shown) == len(set(shown)), shown
    assert set(shown) <= mine.keys(), shown
    # A stored value that is not a key but can be typed is shown unchanged.
    stored = {device.key for device in mine.values()} | {"not a key"}
    assert not ui.key or ui.key in stored, ui.key
    assert ui.key or not ui.reads_key


def check_record(product: Product, ui: Script) -> None:
    """Check that each release has one intention and one outcome, each fetched key a release, and each refusal a row."""
    rows = product.rows.rows()
    intended = Counter(row["release_id"] for row in rows if row["event"] == "release.intended")
    ended = Counter(
        row["release_id"]
        for row in rows
        if row["event"] in {"release.done", "release.refused"} and row["release_id"] in intended
    )
    done = [row for row in rows if row["event"] == "release.done"]
    assert set(intended.values()) <= {1}
    assert ended == intended
    fetched = product.keys_fetched()
    assert len(done) <= min(len(fetched), len(intended)), (done, fetched)
    assert fetched.count("") <= len(intended), (fetched, intended)
    closed = Counter(row["release_id"] for row in rows if row["event"] == "release.closed")
    assert set(closed.values()) <= {1}
    for error in ui.troubles:
        if error.code.startswith(("graph_", "entra_", "device_", "key_")) and not isinstance(error, SignInUnreachable):
            assert [row["outcome"] for row in rows if row["reference"] == error.reference] == [error.code]


def check_words(cell: Cell, ui: Script) -> None:
    """Check that each error has a specific cause, and one that this call can have."""
    codes = {error.code for error in ui.troubles}
    if cell.line and not cell.call.cold:
        # The broker may need a token first, which comes over the same line.
        codes = {code.replace("entra_", "graph_") for code in codes}
    assert codes <= cell.call.codes, codes
    assert not codes & {"internal", "unavailable"}
    assert all(code in BY_CODE for code in codes)
    assert all(error.title and error.sentence and error.next_step and error.reference for error in ui.troubles)
    if cell.harmless:
        assert not codes
    if cell.call.keyless:
        assert len(codes) == 1
    if (exact := expected(cell)) is not None:
        assert codes == {exact} & cell.call.codes, (codes, exact)


def expected(cell: Cell) -> str | None:
    """Return the code that this fault must have; empty for no error, None where several codes are possible."""
    name = cell.line or (cell.name if cell.fault and cell.fault["kind"] != "set" else "")
    untrusted = name.startswith("tls_")
    if cell.call.path == TOKEN and cell.call.phase == "sign_in":
        # The kiosk asks again, unless the service answers with an error, or has answered with a token that was lost.
        return "sign_in_code_used" if name in {"cut", "truncated"} else "sign_in_passing" if name in _REFUSED else ""
    dead = name in {"hang", "reset", "cut", "trickle", *LINE_FAULTS} or cell.name == "no such name"
    garbled = name in {"truncated", "endless", "html", "huge"}
    busy = name in {"500", "502", "503", "504"}
    if cell.call.dns == "graph.url" and cell.name == "no such name":
        # Entra ID issues no token for another Graph, so the call is never made.
        return None
    for unreachable, nonsense, out_of_order, not_trusted in _FAMILIES:
        if unreachable in cell.call.codes:
            if untrusted:
                return not_trusted
            if unreachable == "broker_unreachable" and busy and name != "500":
                # So does a balancer speak when it has no broker.
                return unreachable
            return unreachable if dead else nonsense if garbled else out_of_order if busy else None
    return None


_REFUSED = {str(status) for status in STATUSES if status < 429}
_FAMILIES = (
    ("sign_in_unreachable", "sign_in_garbled", "sign_in_busy", "sign_in_untrusted"),
    ("broker_unreachable", "broker_garbled", "broker_garbled", "broker_untrusted"),
    ("tokens_unavailable", "tokens_unavailable", "tokens_unavailable", "tokens_untrusted"),
    ("entra_unavailable", "entra_garbled", "entra_busy", "entra_untrusted"),
    ("graph_unavailable", "graph_garbled", "graph_unavailable", "graph_untrusted"),
)


class Listener(logging.Handler):
    """Collects everything that the programs log."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(f"{record.getMessage()} {record.exc_info}")


async def matrix(place: Path, chosen: Sequence[Cell], at_once: int) -> dict[Cell, str]:
    """Play the chosen cells, so many ``at_once``, and return those that failed with what went wrong."""
    certificates = make_certificates(dt.datetime.now(dt.UTC))
    # Slow cells first: half of the products begin with them, the other half at the other end.
    waiting = deque(sorted(chosen, key=lambda cell: cell.name not in _SLOW))
    wrong: dict[Cell, str] = {}
    products = min(at_once, len(chosen))
    everybody = asyncio.Barrier(products)

    async def work(number: int) -> None:
        folder = place / f"{number}"
        folder.mkdir()
        async with Product(folder, certificates, spoiled).open() as product:
            # Starting a product blocks the event loop, which a running cell would report as a fault.
            await everybody.wait()
            while waiting:
                # The kiosk collects garbage at each farewell; what there is already would be looked at each time.
                gc.freeze()
                cell = waiting.popleft() if number % 2 else waiting.pop()
                try:
                    check_words(cell, await play(product, cell))
                except (Exception, BaseExceptionGroup) as error:
                    wrong[cell] = f"{cell}: {type(error).__name__}: {error}"

    async with spoiled_servers(certificates.authority, place) as spoiled, asyncio.TaskGroup() as group:
        for number in range(products):
            group.create_task(work(number))
    # Connections close in the next rounds of the event loop.
    await asyncio.sleep(0.1)
    return wrong


def every_fault_at(names: Sequence[str], config: pytest.Config) -> int:
    """Play the cells of the named calls, and return how many there are.

    Each group of calls has its own file, because one worker runs all tests of a file.
    """
    every = bool(config.getoption("--every-fault"))
    chosen = [cell for cell in cells(every=every) if cell.call.name in names]
    listener, root = Listener(), logging.getLogger()
    root.addHandler(listener)
    try:
        with tempfile.TemporaryDirectory(prefix="kf") as name, pytest.MonkeyPatch.context() as patch:
            patch.setattr("kiosk.broker.tokens.signing_keys.FETCH_SECONDS", LIMITS["total_seconds"])
            # One key for the sandboxes of all products: making one takes as long as a cell.
            patch.setattr(rsa, "generate_private_key", functools.cache(rsa.generate_private_key))
            wrong = asyncio.run(matrix(Path(name), chosen, PRODUCTS))
            if 0 < len(wrong) <= _MOST_AGAIN:
                # On a busy machine a few cells meet the products' own time limits. A fault shows when played alone.
                (again := Path(name) / "again").mkdir()
                wrong = asyncio.run(matrix(again, list(wrong), 1))
    finally:
        root.removeHandler(listener)
        # Connections that were given up warn when they are collected, and must do so within this test.
        gc.unfreeze()
        gc.collect()
    assert not wrong, f"{len(wrong)} of {len(chosen)} cells failed:\n" + "\n".join(sorted(wrong.values()))
    assert not [line for line in listener.heard if SECRET.search(line)]
    return len(chosen)
