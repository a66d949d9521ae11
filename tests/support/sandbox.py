"""Run a sandbox for tests and benchmarks: in its own process, over TLS on loopback, until the test ends."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from kiosk.clock import SystemClock
from kiosk.net.tls import tls_context
from kiosk.sandbox.phone import Phone
from kiosk.sandbox.settings import SandboxConfig
from kiosk.sandbox.tenant.directory import Device, Directory, Person, load_directory
from tests.support.sandbox_process import as_path, run_sandbox
from tests.support.warm_process import warm_process

ROOT = Path(__file__).parents[2]


@dataclass
class RunningSandbox:
    """A sandbox in another process. ``data`` is the organisation at the start, including recovery keys."""

    url: str
    directory: Path
    admin: httpx.Client = field(repr=False)
    data: Directory = field(repr=False)
    pid: int = 0

    @property
    def ca(self) -> Path:
        """The certificate of the CA that clients must trust."""
        return self.directory / "ca.pem"

    @property
    def tenant(self) -> str:
        return self.data.tenant.id

    @property
    def authority(self) -> str:
        return f"{self.url}/{self.tenant}"

    @property
    def scope(self) -> str:
        """The scope that the kiosk requests."""
        return f"{self.data.tenant.kiosk_api.uri}/Session.Open"

    def person(self, who: str) -> Person:
        """Return a person by name, address, object id, or the part of the address before the first dot."""
        found = self.data.find_person(who) or next(
            (one for one in self.data.people() if one.address.partition(".")[0] == who), None
        )
        assert found is not None, who
        return found

    def device(self, name: str) -> Device:
        """Return a device by name or serial number, as it was at the start."""
        found = next((one for one in self.data.devices() if name in (one.name, one.serial)), None)
        assert found is not None, name
        return found

    def phone(self) -> Phone:
        """Return a phone with a new browser."""
        return Phone(self.url, self.ca)

    def fault(self, path: str, kind: str = "status", **more: Any) -> int:
        """Arm a fault; its settings are those of kiosk.sandbox.faults.Fault. Returns its id."""
        return int(self._ask("POST", "faults", {"path": path, "kind": kind} | more)["id"])

    def faults(self) -> list[dict[str, Any]]:
        """Return the armed faults, with the number of requests that each has hit."""
        listed: list[dict[str, Any]] = self._ask("GET", "faults")["faults"]
        return listed

    def clear_faults(self) -> None:
        """Disarm all faults."""
        self._ask("DELETE", "faults")

    def requests(self, path_part: str = "") -> list[dict[str, Any]]:
        """Return the logged requests whose path contains ``path_part``."""
        found: list[dict[str, Any]] = self._ask("GET", "requests")["requests"]
        return [one for one in found if path_part in one["path"]]

    def clear_requests(self) -> None:
        """Empty the log of requests."""
        self._ask("DELETE", "requests")

    def rotate_keys(self, *, keep_old: bool = True) -> str:
        """Sign with a new key from now on. Returns its ``kid``."""
        return str(self._ask("POST", "keys/rotate", {"keep_old": keep_old})["kid"])

    def token(
        self,
        person: str | None,
        *,
        client: str = "kiosk_client",
        id_token: bool = False,
        signed: str = "well",
        headers: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Issue a token: a person's for the Kiosk API, or with None the broker's own for Graph.

        A person's has been issued to ``client``: ``kiosk_client`` or ``sign_in``. ``headers`` and ``claims`` replace
        the usual ones; a claim of None is removed. ``signed`` spoils the signature.
        """
        oid = self.person(person).oid if person else None
        kind = {"client": client, "id_token": id_token, "signed": signed}
        order = kind | {"person": oid, "headers": headers or {}, "claims": claims}
        return str(self._ask("POST", "tokens", order)["access_token"])

    def advance(self, seconds: float) -> None:
        """Advance the sandbox's clock: codes expire, rotations progress."""
        self._ask("POST", "clock", {"seconds": seconds})

    def change(self, device: Device, **changes: Any) -> None:
        """Change fields of a device as an administrator would: ``user``, ``owner``, ``state``, ``key`` and others."""
        self._ask("POST", f"devices/{device.id}", changes)

    def register(self, name: str, **changes: Any) -> None:
        """Change a registration, named as in tenant.toml, as an administrator would."""
        self._ask("POST", f"registrations/{name}", changes)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        response = self.admin.request(method, f"/sandbox/{path}", json=body)
        response.raise_for_status()
        return response.json() if response.content else None


@contextlib.contextmanager
def running_sandbox(directory: Path, **settings: Any) -> Iterator[RunningSandbox]:
    """Start a sandbox that writes its files below ``directory``. ``settings`` are those of sandbox.toml.

    The defaults are those of most tests: device codes, and a polling interval of one second, so that no test waits five
    for a token.
    """
    defaults: dict[str, Any] = {"sign_in": {"method": "device_code"}, "device_code": {"interval_seconds": 1}}
    whole = defaults | settings | {"directory": str(directory / "sandbox")}
    config = msgspec.convert(whole, SandboxConfig, dec_hook=as_path)
    with warm_process(run_sandbox, msgspec.json.encode(config, enc_hook=str)) as process:
        line = process.stdout.readline()
        assert line, "the sandbox did not start; see its stderr"
        ready = json.loads(line)
        where = Path(ready["directory"])
        headers = {"authorization": f"Bearer {ready['admin_token']}"}
        client = httpx.Client(
            base_url=ready["url"], verify=tls_context(where / "ca.pem"), headers=headers, trust_env=False
        )
        data = load_directory(SystemClock().utc(), tenant_id=config.tenant.id)
        with client:
            yield RunningSandbox(ready["url"], where, client, data, process.pid)
    assert process.exit_code == 0
