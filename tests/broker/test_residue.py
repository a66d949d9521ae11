"""What a release leaves behind in files, logs and memory: neither key nor token."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from tests.support.broker import broker_config, broker_process, wait_for
from tests.support.sandbox import RunningSandbox

KEY = "*/getFileVaultKey"


def test_nothing_secret_is_left_behind(sandbox: RunningSandbox, place: Path) -> None:
    config = broker_config(sandbox.directory, place, rules={"reason": "required"})
    mac = sandbox.device("NW-AKESSLER-14")
    assert mac.key is not None
    good, expired, unsigned = sandbox.token("ada"), sandbox.token("ada", exp=1), sandbox.token("ada", signed="none")
    with broker_process(config, place) as broker:
        answer = broker.release(good, mac.id, "INC-4711")
        assert answer.key(sandbox.tenant, sandbox.person("ada").oid).decode() == mac.key
        for kind in ("html", "truncated", "wrong_type", "reset"):
            sandbox.fault(KEY, kind, times=1)
            broker.release(good, mac.id, "INC-4711")
        for token in (expired, unsigned, good + "x"):
            broker.release(token, mac.id)
        broker.ask("POST", "/v1/devices/x/release", good, json={"public_key": "x", "reason": mac.key})
        while_running = b"".join(path.read_bytes() for path in place.iterdir() if path.is_file())
    after = b"".join(path.read_bytes() for path in place.iterdir() if path.is_file())
    groups = mac.key.split("-")
    secrets = [mac.key, mac.key.replace("-", ""), "".join(groups[:3]), "-".join(groups[3:])]
    secrets += [part for token in (good, expired, unsigned) for part in token.split(".") if len(part) > 40]
    for haystack in (while_running, after, answer.response.content, broker.log().encode()):
        assert b"token_expired" in haystack or haystack is answer.response.content or b"code=" in haystack
        for secret in secrets:
            for form in (secret.encode(), secret.encode("utf-16-le"), base64.b64encode(secret.encode())[:-4]):
                assert form not in haystack
    for line in broker.log().splitlines():
        assert line[10] == "T"
        assert " code=" in line or " INFO " in line
    assert "Traceback" not in broker.log()


def copies(pid: int, secret: str) -> int:
    """How often a secret stands in the writable memory of a process."""
    found = 0
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, flags = line.split()[:2]
            start, end = (int(part, 16) for part in place.split("-"))
            if "w" in flags:
                memory.seek(start)
                found += memory.read(end - start).count(secret.encode())
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="the broker lets only root look into its memory")
def test_no_key_stays_in_memory_and_no_token_longer_than_its_connection(sandbox: RunningSandbox, place: Path) -> None:
    mac, token = sandbox.device("NW-AKESSLER-14"), sandbox.token("ada")
    assert mac.key is not None
    with broker_process(broker_config(sandbox.directory, place), place) as broker:
        for _ in range(3):
            assert broker.release(token, mac.id).code == ""
            assert copies(broker.pid, mac.key) == 0
        signature = token.rpartition(".")[2]
        assert copies(broker.pid, signature) > 0
        broker.http.close()
        wait_for(lambda: copies(broker.pid, signature) == 0)
