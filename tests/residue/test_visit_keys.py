"""A visit's private keys are overwritten with its token: the one that opens seals, and the one that signs proofs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kiosk.__main__ import environment
from tests.support.memory import writable_regions

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may read the memory of our processes"
)

# A visit's keys and nothing else. It uses them, and prints them in another form without keeping a copy.
VISIT = """
import gc, os
from types import SimpleNamespace
from kiosk import secret
from kiosk.clock import SystemClock
from kiosk.process.hardening import overwrite_freed
from kiosk.proof import Prover

def tell(words):
    os.write(1, words.encode() + b"\\n")
    os.read(0, 1)

class Recorded:
    def __init__(self, kind):
        self.kind = kind

    def generate(self):
        key = self.kind.generate()
        made.append(key.private_bytes_raw()[::-1].hex())
        return key

def recorded(module):
    kinds = {name: kind for name, kind in vars(module).items() if name.endswith("Key")}
    return SimpleNamespace(**kinds | {name: Recorded(kind) for name, kind in kinds.items() if "Private" in name})

overwrite_freed()
made = []
for name in ("ed25519", "mlkem", "x25519"):
    setattr(secret, name, recorded(getattr(secret, name)))
keys = secret.VisitKeys()
prover = Prover(keys, SystemClock())
prover.proof("GET", "/v1/session", "token", b"")
public_key = secret.public_key_from_bytes(keys.public_key)
keys.open(secret.SUITE.encrypt(b"key", public_key, info=b""), b"").wipe()
gc.collect()
tell(" ".join(made))
keys.forget()
gc.collect()
tell("forgotten")
"""


def test_no_private_key_outlives_its_visit() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", VISIT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(dict(os.environ)),
    ) as process:
        assert process.stdin
        assert process.stdout
        told = [bytes.fromhex(word)[::-1] for word in process.stdout.readline().decode().split()]
        # ML-KEM's seed has two parts, which OpenSSL keeps in two places.
        secrets = [secret[place : place + 32] for secret in told for place in range(0, len(secret), 32)]
        assert len(secrets) == 4
        found = [copies(process.pid, secret) for secret in secrets]
        assert all(found), found
        process.stdin.write(b".")
        process.stdin.flush()
        assert process.stdout.readline() == b"forgotten\n"
        assert [copies(process.pid, secret) for secret in secrets] == [0] * len(secrets)
        process.kill()


def copies(pid: int, secret: bytes) -> int:
    return sum(content.count(secret) for _, _, content in writable_regions(pid))
