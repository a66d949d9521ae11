"""Generates an organisation of any size: always the same from the same seed, in about a second for 50,000 devices."""

from __future__ import annotations

import datetime as dt
import random

from kiosk.config.loading import load
from kiosk.config.types import Section, Text
from kiosk.sandbox.tenant.directory import HERE, KEY_ALPHABET, Device, Directory, Person

_MACS = (
    "MacBook Air (13-inch, M3)",
    "MacBook Air (15-inch, M4)",
    "MacBook Pro (14-inch, M4)",
    "MacBook Pro (16-inch, M4)",
    "Mac mini (M4)",
    "iMac (24-inch, M4)",
)
_OS_VERSIONS = ("26.1 (25B78)", "26.0.1 (25A362)", "15.7.2 (24G325)", "14.8.2 (23J126)")
NAMES_FILE = HERE / "names.toml"
_SERIAL_LETTERS = "CDFGHJKLMNPQRTVWXY0123456789"
_DEVICES_PER_PERSON = 1.25


class _Names(Section, frozen=True, kw_only=True):
    first: tuple[Text, ...]
    last: tuple[Text, ...]


def grow(directory: Directory, count: int, seed: int, now: dt.datetime) -> None:
    """Add people and devices until there are ``count`` devices. A fifth are not Macs, a few Macs have no key."""
    missing = count - sum(1 for _ in directory.devices())
    if missing <= 0:
        return
    rng = random.Random(seed)  # noqa: S311  # keys of Macs that do not exist, the same at every start
    names = load(NAMES_FILE, _Names)
    people = [
        _person(rng, names, directory.tenant.domain, number) for number in range(int(missing / _DEVICES_PER_PERSON) + 1)
    ]
    for person in people:
        directory.add_person(person)
    today = now.replace(hour=8, minute=0, second=0, microsecond=0)
    enrolled = [today - dt.timedelta(days=days) for days in range(20, 1500)]
    seen = [now.replace(microsecond=0) - dt.timedelta(minutes=minutes) for minutes in range(5, 60 * 24 * 14, 7)]
    for number in range(missing):
        owner = people[number] if number < len(people) else rng.choice(people)
        directory.add_device(_device(rng, owner, number, rng.choice(enrolled), rng.choice(seen)))


def _person(rng: random.Random, names: _Names, domain: str, number: int) -> Person:
    first, last = rng.choice(names.first), rng.choice(names.last)
    return Person(name=f"{first} {last}", address=f"user{number:06d}@{domain}", oid=_guid(rng))


def _device(rng: random.Random, owner: Person, number: int, enrolled: dt.datetime, seen: dt.datetime) -> Device:
    draw = rng.random()
    mac = draw < 0.8
    keyed = mac and draw >= 0.04
    return Device(
        id=_guid(rng),
        azure_id=_guid(rng),
        name=f"NW-{'MAC' if mac else 'WIN'}-{number:06d}",
        serial="H" + "".join(rng.choices(_SERIAL_LETTERS, k=8)) + _SERIAL_LETTERS[number % len(_SERIAL_LETTERS)],
        model=rng.choice(_MACS) if mac else "Latitude 7450",
        os="macOS" if mac else "Windows",
        os_version=rng.choice(_OS_VERSIONS) if mac else "10.0.26100.7171",
        user=owner.oid,
        primary=owner.oid,
        owner="company",
        compliance="compliant",
        enrollment="appleBulkWithUser" if mac else "windowsAzureADJoin",
        enrolled=enrolled,
        seen=seen,
        key=_key(rng) if keyed else None,
        encryption="success" if keyed else "escrowNotEnabled",
        policy="compliant" if keyed else "error",
    )


def _key(rng: random.Random) -> str:
    letters = "".join(rng.choices(KEY_ALPHABET, k=24))
    return "-".join(letters[at : at + 4] for at in range(0, 24, 4))


def _guid(rng: random.Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
