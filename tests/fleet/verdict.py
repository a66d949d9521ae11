"""Holds the record against what the sandbox gave out and what kiosks opened."""

from __future__ import annotations

import re
from collections import Counter

from tests.fleet.fleet import Fleet
from tests.fleet.programs import DEPLOY
from tests.fleet.visits import Crowd, Tally

# deploy/fleet/broker.toml; a rehearsal is shorter than an hour.
LIMIT = 3
# The kiosk gives up after 60 s.
LONGEST_WAIT = 62.0
_KEY = "/getFileVaultKey"


class Books:
    """What the sandbox gave out since the start, kept because its own log forgets the oldest requests."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._fetched: Counter[str] = Counter()
        fleet.sandbox.clear_requests()

    def fetched(self) -> Counter[str]:
        """Return how many times the key of each device was given out."""
        for request in self._fleet.sandbox.requests(_KEY):
            if request["status"] == 200:
                self._fetched[request["path"].removesuffix(_KEY).rpartition("/")[2].lower()] += 1
        self._fleet.sandbox.clear_requests()
        return self._fetched


def broken(fleet: Fleet, crowd: Crowd, books: Books, tally: Tally, verified: str) -> list[str]:
    """Return the promises that were broken, in words."""
    found = [f"a refusal without words: {one}" for one in tally.wordless]
    if tally.longest > LONGEST_WAIT:
        found.append(f"somebody waited {tally.longest:.0f} s")
    if not verified.startswith("holds"):
        found.append(f"verify: {verified}")
    fetched = books.fetched()
    rows = fleet.databases.rows("SELECT event, oid, device_id, release_id FROM record WHERE event LIKE 'release.%'")
    intended = {release: (oid, device) for event, oid, device, release in rows if event == "release.intended"}
    done = {release for event, _, _, release in rows if event == "release.done"}
    asked = Counter(device for _, device in intended.values())
    found += [
        f"{count} keys of {device} were fetched, {asked[device]} intended"
        for device, count in fetched.items()
        if count > asked[device]
    ]
    for one in crowd.opened:
        if not one.right:
            found.append(f"release {one.release_id} opened to a key that is not the sandbox's")
        if one.release_id not in done or intended.get(one.release_id) != (one.oid, one.device_id):
            found.append(f"release {one.release_id} was opened and is not on the record")
    people = Counter(oid for release, (oid, _) in intended.items() if release in done)
    found += [f"{count} keys for one person" for count in people.values() if count > LIMIT]
    return found


def unexported(fleet: Fleet) -> set[str]:
    """Return the metrics that the alerts of deploy/fleet watch and no program of the fleet exports."""
    watched = set(re.findall(r"\b(?:haproxy|patroni|kiosk)_\w+", (DEPLOY / "alerts.yml").read_text()))
    exported = "".join((*fleet.metrics(), *fleet.databases.metrics()))
    return {name for name in watched if not re.search(rf"^{name}\b", exported, re.MULTILINE)}
