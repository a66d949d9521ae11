"""Macs whose key is refused or missing: the reason in the list, and on the screen when somebody asks."""

from __future__ import annotations

import pytest

from kiosk.errors import BY_CODE, kind_of
from tests.causes.reader import Reader, flat
from tests.causes.start import Start
from tests.causes.tables import MACS
from tests.support.kiosk_user import KEY, KioskUser, kiosk_user
from tests.support.sandbox import RunningSandbox
from tests.support.services import Services


async def choose(person: KioskUser, name: str) -> str:
    """Filter the list by the end of a serial number, as a person would, and return the text of the screen."""
    typed = person.running.sandbox.device(name).serial[-4:]
    await person.press(*typed)
    return flat(await person.until(lambda text: f"Filter: {typed}▏" in text and f"▶ {name}" in text))


async def refused(person: KioskUser, reader: Reader, code: str) -> None:
    """Ask for the key of the chosen Mac. Check the refusal, and that Enter and Esc lead back to the list."""
    await person.press("enter")
    await reader.trouble(person, code, leave="Back to the list")
    await person.press("escape")
    await person.until("Which Mac is locked?")
    await person.press("enter")
    await person.until(f"({code})")
    await person.press("enter")
    await person.until("Which Mac is locked?")


@pytest.mark.parametrize("whose", sorted({mac.whose for mac in MACS.values()}))
async def test_macs_without_a_key(running: Services, reader: Reader, whose: str) -> None:
    sandbox = running.sandbox
    async with kiosk_user(running) as person:
        await person.walk_to_devices(whose)
        for code, mac in MACS.items():
            if mac.whose != whose:
                continue
            said = await choose(person, mac.name)
            kind, device = BY_CODE[code], sandbox.device(mac.name)
            assert (f"No key here: {kind.sentence} {kind.next_step}" in said) is mac.listed, said
            if mac.change:
                sandbox.change(device, **dict([mac.change]))
            elif code == "device_not_found":
                sandbox.fault(f"*/managedDevices/{device.id}", status=404)
            await refused(person, reader, code)
            sandbox.clear_faults()
            if mac.change:
                sandbox.change(device, os="macOS", agent="mdm", state="managed", stored=device.stored)


async def test_a_mac_that_the_list_calls_not_managed(running: Services, reader: Reader) -> None:
    """The next person's list shows what the broker has found out on a request for the key."""
    mac = running.sandbox.device("NW-AKESSLER-MINI")
    for code in ("device_other_agent", "device_not_managed"):
        change = MACS[code].change
        assert change
        running.sandbox.change(mac, **dict([change]))
        async with kiosk_user(running) as person:
            await person.walk_to_devices("Ada Kessler")
            assert f"No key here: {BY_CODE[code].sentence}" in await choose(person, mac.name)
        running.sandbox.change(mac, agent="mdm", state="managed")


async def test_a_key_that_may_be_out_of_date(running: Services) -> None:
    """The only cause that is a warning, in the list and beside the key."""
    kind = kind_of("key_rotated")
    assert kind
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Marit Solberg")
        said = await choose(person, "NW-MSOLBERG-TURN")
        assert "may be old" in said
        assert kind.sentence in said
        await person.press("enter")
        assert f"{kind.sentence} {kind.next_step}" in flat(await person.until(KEY.search))


async def test_a_blocked_mac(start: Start, sandbox: RunningSandbox, reader: Reader) -> None:
    mac = sandbox.device("NW-AKESSLER-MINI")
    async with kiosk_user(start(rules={"blocked_devices": (mac.serial,)})) as person:
        await person.walk_to_devices("Ada Kessler")
        assert f"No key here: {BY_CODE['device_blocked'].sentence}" in await choose(person, mac.name)
        await refused(person, reader, "device_blocked")
