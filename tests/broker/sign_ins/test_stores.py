"""What a store of sign-ins promises, in memory and in PostgreSQL, and that the database tells nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kiosk.broker.record.checkpoints import Signer
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.schema import SIGN_IN, SIGN_IN_NAME
from kiosk.broker.record.shared_time import SharedTime
from kiosk.broker.sign_ins.shared_store import SharedStore
from kiosk.broker.sign_ins.sign_in import KEPT_SECONDS, SECONDS, SignIn, new_phone
from kiosk.broker.sign_ins.store import MemoryStore, SignInStore
from kiosk.errors import DigitsWrong, KioskError, RecordUnavailable, SignInLimit
from kiosk.sign_in_messages import Stage
from tests.support.clock import ManualClock

Made: TypeAlias = Callable[..., SignInStore]


def derived(number: int = 1) -> Callable[[str], bytes]:
    """Return what the brokers with one signing key derive from it."""
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)).derived


def begun(store: SignInStore) -> SignIn:
    return SignIn.begin(
        visit="v", public_key=b"k", terminal="t", language="de", place="", now=store.now(), begun_at=0.0
    )


async def code_of(store: SignInStore, sign_in_id: str) -> str:
    """Return the code of the error of asking for a sign-in; empty if it is there."""
    try:
        await store.change(sign_in_id, lambda _: None)
    except KioskError as error:
        return error.code
    return ""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database_with_tables(postgresql_database: str) -> str:
    engine = open_engine(postgresql_database)
    with engine.begin() as connection:
        for table in (SIGN_IN, SIGN_IN_NAME):
            table.create(connection)
    engine.dispose()
    return postgresql_database


@pytest.fixture(params=["memory", "postgresql"])
async def made(request: pytest.FixtureRequest, clock: ManualClock) -> AsyncIterator[Made]:
    """Return a function that makes stores; those in PostgreSQL share their sign-ins."""
    stores: list[SignInStore] = []
    url = request.getfixturevalue("database_with_tables") if request.param == "postgresql" else ""

    def make(**more: int) -> SignInStore:
        shared = SharedTime(clock)
        stores.append(SharedStore(url, derived(), shared, **more) if url else MemoryStore(clock, **more))
        return stores[-1]

    yield make
    for store in stores:
        await store.close()


async def test_a_sign_in_is_kept_until_it_has_been_over_for_a_while(made: Made, clock: ManualClock) -> None:
    store = made(most=2)
    one = begun(store)
    await store.add(one, ["link A", "link B"], 200)
    assert await store.find("link A") == await store.find("link B") == one.id
    assert await store.find("link C") == ""
    assert await store.due() == []
    clock.advance(SECONDS[Stage.WAITING])
    assert await store.due() == [one.id]
    await store.change(one.id, lambda kept: kept.settle(store.now()))
    assert await store.change(one.id, lambda kept: kept.code) == "phone_sign_in_expired"
    assert await store.due() == []
    clock.advance(KEPT_SECONDS)
    assert await store.find("link A") == ""
    assert await store.due() == [one.id]
    assert await code_of(store, one.id) == ""
    assert await code_of(store, one.id) == "phone_sign_in_unknown"
    assert await store.due() == []


async def test_changes_are_kept_even_if_they_end_in_an_error(made: Made) -> None:
    store = made()
    one = begun(store)
    await store.add(one, ["link A"], 1)

    def fail(kept: SignIn) -> None:
        kept.tries += 1
        raise DigitsWrong("a try")

    for _ in range(2):
        with pytest.raises(DigitsWrong):
            await store.change(one.id, fail)
    assert await store.change(one.id, lambda kept: kept.tries) == 2


async def test_of_many_who_open_a_link_at_once_one_gets_it(made: Made) -> None:
    store = made()
    one = begun(store)
    await store.add(one, ["link A"], 1)

    async def opened() -> bool:
        try:
            await store.change(one.id, lambda kept: kept.open(one.typed, new_phone(), "", "", store.now()))
        except KioskError:
            return False
        return True

    assert sum(await asyncio.gather(*(opened() for _ in range(8)))) == 1


async def test_only_so_many_are_kept(made: Made) -> None:
    store = made(most=3)
    for name in "ABC":
        await store.add(begun(store), [name], 1)
    with pytest.raises(SignInLimit):
        await store.add(begun(store), ["D"], 1)
    assert await store.find("D") == ""


async def test_a_name_leads_to_the_newest_and_a_claim_stays(made: Made, clock: ManualClock) -> None:
    store = made()
    assert await store.lead("terminal", "one", 10) == ""
    assert await store.lead("terminal", "two", 10) == "one"
    assert await store.find("terminal") == "two"
    assert await store.claim("nonce", "one", 10)
    assert await store.claim("nonce", "one", 10)
    assert not await store.claim("nonce", "two", 10)
    clock.advance(10)
    assert await store.find("terminal") == ""
    assert await store.claim("nonce", "two", 10)
    clock.advance(10)
    await store.due()
    assert await store.find("nonce") == ""


async def test_memory_is_empty_after_the_last_sign_in(clock: ManualClock) -> None:
    store = MemoryStore(clock)
    one = begun(store)
    await store.add(one, [f"link {code}" for code in one.codes], 200)
    await store.change(one.id, lambda kept: kept.cancel(store.now()))
    clock.advance(300)
    for sign_in_id in await store.due():
        await store.change(sign_in_id, lambda _: None)
    assert len(store) == 0


async def test_the_database_tells_nothing_and_believes_nobody(database_with_tables: str, clock: ManualClock) -> None:
    ours = SharedStore(database_with_tables, derived(), SharedTime(clock))
    one, other = begun(ours), begun(ours)
    one.digits, one.place, other.place = "471093", "Building 7", "Building 8"
    await ours.add(one, [f"link {one.typed}", "terminal desk7"], 200)
    await ours.add(other, ["terminal desk8"], 200)
    with psycopg.connect(database_with_tables.replace("+psycopg", "", 1), autocommit=True) as connection:
        found = repr(connection.execute("SELECT content FROM sign_in").fetchall())
        found += repr(connection.execute("SELECT name, id FROM sign_in_name").fetchall())
        for secret in (one.typed, *one.scans, "471093", "Building 7", "desk7"):
            assert secret not in found
        # Rows that somebody exchanged or made up.
        connection.execute(
            "UPDATE sign_in SET content = (SELECT content FROM sign_in WHERE id = %s) WHERE id = %s", (one.id, other.id)
        )
        connection.execute("INSERT INTO sign_in VALUES ('made up', 1e12, 'x')")
    assert [await code_of(ours, each) for each in (one.id, other.id, "made up")] == ["", *["phone_sign_in_unknown"] * 2]
    # Another signing key.
    theirs = SharedStore(database_with_tables, derived(7), SharedTime(clock))
    assert await code_of(theirs, one.id) == "phone_sign_in_unknown"
    assert await theirs.find(f"link {one.typed}") == ""
    await ours.close()
    await theirs.close()


async def test_what_another_key_left_behind_goes_away(database_with_tables: str, clock: ManualClock) -> None:
    theirs = SharedStore(database_with_tables, derived(7), SharedTime(clock))
    ours = SharedStore(database_with_tables, derived(), SharedTime(clock))
    for number in range(100):
        await theirs.add(begun(theirs), [f"link {number}"], 200)
    clock.advance(1)
    one = begun(ours)
    await ours.add(one, ["link"], 200)
    clock.advance(SECONDS[Stage.WAITING])
    assert one.id in await ours.due()
    clock.advance(1000)
    assert await ours.due() == []
    await ours.close()
    await theirs.close()


async def test_a_database_that_is_away_or_empty_is_said_to_be(postgresql_database: str, clock: ManualClock) -> None:
    for url in ("postgresql+psycopg://broker@/none?host=/nowhere", postgresql_database):
        store = SharedStore(url, derived(), SharedTime(clock))
        with pytest.raises(RecordUnavailable):
            await store.find("link")
        await store.close()
