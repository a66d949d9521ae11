"""What a release leaves behind in files, logs and memory: neither key nor token."""

from __future__ import annotations

import base64
import os
import shlex
from pathlib import Path

import pytest

from tests.support.broker import broker_config, started_broker, wait_for
from tests.support.sandbox import RunningSandbox

KEY = "*/getFileVaultKey"


def content(place: Path) -> bytes:
    """Return everything in the broker's folder: database with write-ahead log, configuration, log."""
    return b"".join(path.read_bytes() for path in place.iterdir() if path.is_file())


def test_no_secret_is_in_files_and_logs(sandbox: RunningSandbox, place: Path) -> None:
    mac = sandbox.device("NW-AKESSLER-14")
    assert mac.key is not None
    good, expired, unsigned = sandbox.token("ada"), sandbox.token("ada", exp=1), sandbox.token("ada", signed="none")
    with started_broker(broker_config(sandbox.directory, place), place) as broker:
        answer = broker.release(good, mac.id)
        assert answer.key(sandbox.tenant, sandbox.person("ada").oid).decode() == mac.key
        for kind in ("html", "truncated", "wrong_type", "reset"):
            sandbox.fault(KEY, kind, times=1)
            broker.release(good, mac.id)
        for token in (expired, unsigned, good + "x"):
            assert broker.release(token, mac.id).code
        broker.ask("POST", "/v1/devices/x/release", good, json={"public_key": mac.key, "reason": 7})
        running = content(place)
    assert mac.serial.encode() in running
    assert b"graph_garbled" in running
    groups = mac.key.split("-")
    secrets = [mac.key, "".join(groups), "".join(groups[:3]), "-".join(groups[3:])]
    secrets += [part for token in (good, expired, unsigned) for part in token.split(".") if len(part) > 40]
    for place_of_search in (running, content(place), answer.response.content):
        for secret in secrets:
            for form in (secret.encode(), secret.encode("utf-16-le"), base64.b64encode(secret.encode())[:-4]):
                assert form not in place_of_search


def test_the_log_has_one_line_for_one_event(sandbox: RunningSandbox, place: Path) -> None:
    with started_broker(broker_config(sandbox.directory, place), place) as broker:
        broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
        reference = broker.release(sandbox.token("ada"), sandbox.device("NW-JBRANDT-AIR").id).response.json()[
            "reference"
        ]
        broker.ask("GET", "/v1/%0a2026-11-22T09:00:00Z INFO forged%1b[2J")
    made, signed, started, released, refused, forged = (fields(line) for line in broker.log().splitlines())
    assert made["text"] == f"created the key that signs checkpoints: {broker.config.record.database[10:-2]}key"
    assert signed["text"].startswith("checkpoints are signed with ")
    assert (started["event"], started["url"]) == ("listening", broker.config.listen.url)
    done = broker.rows("release.done")[0]
    assert (released["event"], released["release"], released["terminal"]) == (
        "release.done",
        done["release_id"],
        "tty1",
    )
    assert released["client_request_id"] == done["client_request_id"]
    assert released["request_id"] == done["request_id"]
    assert (refused["level"], refused["code"], refused["reference"]) == ("warning", "device_not_yours", reference)
    assert refused["what"].startswith("POST /v1/devices/")
    assert refused["cause"].startswith("userId=")
    assert refused["client_request_id"] == broker.rows("release.refused")[0]["client_request_id"]
    assert forged["code"] == "route_unknown"
    assert "terminal" not in forged, "what one request says of itself is not said of the next"
    assert "\x1b" not in broker.log()


def fields(line: str) -> dict[str, str]:
    """Parse a line of the log. Shell quoting is the same as that of logfmt."""
    return dict(pair.split("=", 1) for pair in shlex.split(line))


def copies(pid: int, secret: str) -> int:
    """Return how often a secret is in the writable memory of a process."""
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
    with started_broker(broker_config(sandbox.directory, place), place) as broker:
        for _ in range(3):
            assert broker.release(token, mac.id).code == ""
            assert copies(broker.pid, mac.key) == 0
        signature = token.rpartition(".")[2]
        assert copies(broker.pid, signature) > 0
        broker.http.close()
        wait_for(lambda: copies(broker.pid, signature) == 0)
