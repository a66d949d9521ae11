"""The organisation: the shipped data, generated data, and errors in data."""

from __future__ import annotations

import datetime as dt
import re
import time
import uuid
from pathlib import Path

import pytest

from kiosk.errors import ConfigError
from kiosk.sandbox.graph.rotation import new_key
from kiosk.sandbox.tenant.directory import DEVICES_FILE, PEOPLE_FILE, Device, Directory, load_directory
from kiosk.sandbox.tenant.generate import grow

NOW = dt.datetime(2026, 11, 22, 9, 0, tzinfo=dt.UTC)
KEY = re.compile(r"[A-HJ-RT-Z2-9]{4}(-[A-HJ-RT-Z2-9]{4}){5}")


@pytest.fixture(scope="module")
def directory() -> Directory:
    return load_directory(NOW)


def test_a_believable_organisation(directory: Directory) -> None:
    people, devices = list(directory.people()), list(directory.devices())
    assert len(people) >= 10
    assert len(devices) >= 50
    assert [one.address for one in people if "Technician" in one.roles] == ["marit.solberg@nordwind.example"]
    assert all(one.description for one in people)
    first = directory.devices_of(people[0].oid)
    assert all(device.key and device.owner == "company" and device.state == "managed" for device in first)
    assert len(first) in {2, 3}


def test_every_state_of_a_real_tenant(directory: Directory) -> None:
    devices = list(directory.devices())
    macs = [device for device in devices if device.os == "macOS"]
    keyless = {device.without_key for device in macs if device.key is None and device.stored is None}
    assert keyless == {"missing", "null", "empty"}
    assert {device.owner for device in macs} == {"company", "personal", "unknown"}
    assert {"managed", "retirePending", "retireIssued", "wipePending", "wipeIssued", "deletePending"} == {
        device.state for device in macs
    }
    assert {device.agent for device in macs} == {"mdm", "jamf", "configurationManagerClient"}
    assert {device.os for device in devices} == {"macOS", "Windows", "iOS", "iPadOS"}
    assert [device for device in macs if not device.user]
    assert [device for device in macs if device.user and device.user != device.primary]
    assert [device for device in macs if device.seen.year == 1]
    assert [device for device in macs if not device.online]
    assert [device for device in macs if device.stored]
    counts = {len(directory.devices_of(person.oid)) for person in directory.people()}
    assert {0, 1, 2} <= counts
    assert max(counts) >= 24
    everything = "".join(device.name for device in devices) + "".join(person.name for person in directory.people())
    assert all(
        part in everything for part in ("[/bold]", "[@click=app.quit]", "\x1b[2J", "\x1b]52;", "\u202e", "\u200b")
    )
    assert max(len(device.name) for device in devices) > 100


def test_keys_look_like_filevault_keys(directory: Directory) -> None:
    keys = [device.key for device in directory.devices() if device.key]
    assert len(keys) == len(set(keys))
    assert all(KEY.fullmatch(key) for key in [*keys, *(new_key() for _ in range(50))])


def test_nothing_secret_in_a_repr(directory: Directory) -> None:
    device = next(device for device in directory.devices() if device.key)
    assert str(device.key) not in repr(device)
    assert str(device.key) not in f"{device}"


def test_ids_are_the_same_at_every_start(directory: Directory) -> None:
    again = load_directory(NOW + dt.timedelta(days=1))
    assert [device.id for device in again.devices()] == [device.id for device in directory.devices()]
    other = load_directory(NOW, tenant_id=str(uuid.uuid4()))
    assert {device.id for device in other.devices()}.isdisjoint({device.id for device in directory.devices()})


def test_people_are_found_however_they_are_called(directory: Directory) -> None:
    ada = next(iter(directory.people()))
    for text in (ada.oid.upper(), ada.address.upper(), f" {ada.name.swapcase()} "):
        assert directory.find_person(text) is ada
    assert directory.find_person("ada") is ada
    # Neither a part of several names nor an empty text names anybody.
    assert directory.find_person("an") is None
    assert directory.find_person(" ") is None


def grown(seed: int, count: int = 50_000) -> Directory:
    directory = load_directory(NOW)
    grow(directory, count, seed, NOW)
    return directory


def test_a_tenant_of_any_size() -> None:
    begin = time.monotonic()
    big = grown(1)
    assert time.monotonic() - begin < 10  # a second here; slow machines exist
    devices = list(big.devices())
    assert (
        len(devices) == len({device.id for device in devices}) == len({device.serial for device in devices}) == 50_000
    )
    assert all(KEY.fullmatch(device.key) for device in devices if device.key)
    assert {device.os for device in devices[1000:]} == {"macOS", "Windows"}
    assert sum(1 for device in devices[1000:] if device.os == "macOS" and device.key is None) > 100
    assert max(len(big.devices_of(person.oid)) for person in big.people()) < 30


def test_the_same_seed_makes_the_same_tenant() -> None:
    def values(directory: Directory) -> list[tuple[str, str | None]]:
        return [(device.id, device.key) for device in directory.devices()]

    assert values(grown(7, 300)) == values(grown(7, 300))
    assert values(grown(7, 300)) != values(grown(8, 300))
    assert len(values(grown(7, 1))) == len(values(load_directory(NOW)))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('name = "a"\nserial = "S1"\nuser = "x@y"', "S1: expected the address of somebody"),
        ('name = "a"\nserial = "S1"\nkey = "SHORT"', "expected"),
        ('name = "a"\nserial = "S1"\nkey = "0IS1-AAAA-AAAA-AAAA-AAAA-AAAA"', "expected"),
        ('name = "a"\nserial = "S1"\nseen = "soon"', "expected"),
        ('name = "a"\nserial = "S1"\nwithout_key = "gone"', 'without_key: expected "missing", "null" or "empty"'),
        ('name = "a"\nserial = "S1"\n[[device]]\nname = "b"\nserial = "S1"', "every serial number once"),
        ('serial = "S1"', "name: missing"),
    ],
)
def test_a_mistake_in_the_devices(tmp_path: Path, entry: str, words: str) -> None:
    path = tmp_path / "devices.toml"
    path.write_text(f"[[device]]\n{entry}\n")
    with pytest.raises(ConfigError) as caught:
        load_directory(NOW, devices_file=path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_the_people(tmp_path: Path) -> None:
    path = tmp_path / "people.toml"
    path.write_text(
        PEOPLE_FILE.read_text() + '[[person]]\nname = "Ada again"\naddress = "ADA.kessler@nordwind.example"\n'
    )
    with pytest.raises(ConfigError, match="every address once"):
        load_directory(NOW, people_file=path)
    path.write_text('[[person]]\nname = "A"\naddress = "a@nordwind.example"\nage = 7\n')
    with pytest.raises(ConfigError, match="unknown key"):
        load_directory(NOW, people_file=path, devices_file=DEVICES_FILE)


def test_a_device_without_anything_is_still_one() -> None:
    assert Device().seen.year == 1
