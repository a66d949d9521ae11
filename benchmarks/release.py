"""Measure a release: its requests, and the time from Enter in the list to the key on the screen."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import msgspec

from benchmarks.bare import Bare
from benchmarks.figures import Figure, Topic
from benchmarks.program import ENTER, ESCAPE, kiosk
from benchmarks.services import FIRST, PERSON, Services
from kiosk.config.kiosk import KioskConfig
from kiosk.config.loading import load
from kiosk.models import ReleaseRequest
from kiosk.secret import VisitKeys
from tests.support.broker import FromVisit

ROUNDS = 20
# A person needs longer than this between two screens. Before, the kiosk is still wiping what the last one drew.
_PAUSE_SECONDS = 0.4


class Admin:
    """The sandbox's interface for administrators."""

    def __init__(self, services: Services) -> None:
        self.url = load(services.kiosk_toml, KioskConfig).device_code_settings.authority.rpartition("/")[0]
        headers = {"Authorization": f"Bearer {services.admin_token}"}
        self._http = httpx.Client(
            base_url=f"{self.url}/sandbox/", verify=services.tls(), headers=headers, trust_env=False
        )

    def token(self) -> str:
        """Return the person's token for the broker."""
        return str(self._http.post("tokens", json={"person": PERSON}).raise_for_status().json()["access_token"])

    def forget_requests(self) -> None:
        self._http.delete("requests").raise_for_status()

    def requests(self) -> Counter[str]:
        """Return the number of requests to each service since the last ``forget_requests``."""
        asked = self._http.get("requests").raise_for_status().json()["requests"]
        return Counter("Graph" if one["path"].startswith(("/beta", "/v1.0")) else "Entra ID" for one in asked)


def measure(services: Services, rounds: int = ROUNDS) -> Iterator[Topic]:
    """Fetch the same key repeatedly, in turn with bare requests, with the broker alone, and with the kiosk."""
    bare_time = Figure("3 bare requests", "ms")
    with_token = Figure("4 bare requests: a token first", "ms")
    broker_time = Figure("broker: decide, record, 3 requests, seal", "ms")
    whole_time = Figure("kiosk: Enter in the list to key on screen", "ms")
    bare_count, whole_count = Figure("bare requests", "n"), Figure("kiosk, from Enter in the list", "n")
    visit_count = {name: Figure(f"kiosk, a whole visit: {name}", "n") for name in ("Entra ID", "Graph")}
    admin = Admin(services)
    with Bare(services) as bare, kiosk(services.kiosk_toml) as program:
        admin.forget_requests()
        program.walk_to_devices()
        asked = admin.requests()
        device_id = bare.find(FIRST)
        broker = _broker(services, admin.token(), device_id)
        bare.key(device_id)
        broker()
        for _ in range(rounds):
            admin.forget_requests()
            bare_time.values.append(_milliseconds(lambda: bare.key(device_id)))
            bare_count.values.append(admin.requests().total())
            with_token.values.append(_milliseconds(lambda: bare.key(device_id, fresh_token=True)))
            broker_time.values.append(_milliseconds(broker))
            admin.forget_requests()
            pressed = program.press(ENTER)
            whole_time.values.append((program.painted(b"Time left") - pressed) * 1000)
            release = admin.requests()
            whole_count.values.append(release.total())
            program.settle(_PAUSE_SECONDS)
            program.press(ESCAPE)
            program.painted(b"Which Mac is locked?")
            program.settle(_PAUSE_SECONDS)
    for name, figure in visit_count.items():
        figure.values.append((asked + release)[name])
    yield Topic("A recovery key", (bare_time, with_token, broker_time, whole_time))
    yield Topic("Requests for a key", (bare_count, whole_count, *visit_count.values()))


def _milliseconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1000


def _broker(services: Services, token: str, device_id: str) -> Callable[[], object]:
    """Return a function that requests a release as the kiosk does, and leaves the key sealed."""
    url = load(services.kiosk_toml, KioskConfig).broker.url
    http = httpx.Client(transport=httpx.HTTPTransport(uds=url.removeprefix("unix:")), base_url="http://broker")
    keys = VisitKeys()
    body = msgspec.json.encode(ReleaseRequest(public_key=keys.public_key))
    headers, visit = {"Content-Type": "application/json"}, FromVisit(token, keys)
    path = f"/v1/devices/{device_id}/release"

    def release() -> object:
        return http.post(path, content=body, headers=headers, auth=visit).raise_for_status()

    return release
