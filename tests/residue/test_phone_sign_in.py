"""After a sign-in on the phone, the sign-in page and the broker keep none of its secrets in memory, logs or files.

Somebody between page and broker looks into the page's memory while it hands the tokens over: they must be there, or
the zeros afterwards would prove nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kiosk.clock import SystemClock
from kiosk.sandbox.phone import Phone
from kiosk.sign_in_page.cookie import NAME, Cookies, cookie_key
from tests.support.broker import broker_config, started_broker, wait_for
from tests.support.memory import writable_regions
from tests.support.sandbox import ROOT, running_sandbox
from tests.support.sign_ins import AtTheKiosk
from tests.support.socket_proxy import socket_proxy

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may read the memory of our processes"
)
TOKEN = re.compile(rb"eyJ[\w-]{20,}\.eyJ[\w-]{50,}\.[\w-]{100,}")


def copies(pid: int, secrets: dict[str, bytes]) -> dict[str, int]:
    """Return how often each secret is in the memory of a process, with characters of any width."""
    found = dict.fromkeys(secrets, 0)
    for _, _, content in writable_regions(pid):
        bare = content.translate(None, b"\x00")
        for name, secret in secrets.items():
            found[name] += bare.count(secret)
    return found


def content_below(folder: Path) -> bytes:
    """Return everything in all files of a folder."""
    return b"".join(one.read_bytes() for one in folder.rglob("*") if one.is_file())


async def test_page_and_broker_keep_nothing() -> None:
    secrets: dict[str, bytes] = {}
    while_handed_over: dict[str, int] = {}

    def redirected(url: httpx.URL) -> httpx.URL:
        if "code" in url.params:
            secrets["code"] = url.params["code"].encode()
        return url

    # A short path, because it holds sockets.
    with (
        tempfile.TemporaryDirectory() as name,
        running_sandbox(Path(name), sign_in={"method": "web", "context": "c7"}) as sandbox,
        started_broker(broker_config(sandbox.directory, Path(name), log={"level": "debug"}), Path(name)) as broker,
        socket_proxy(Path(name) / "between.sock", sandbox.directory / "page.sock") as between,
    ):
        place, own = Path(name), sandbox.directory / "sign-in.toml"
        text = own.read_text().replace(f"unix:{sandbox.directory}/page.sock", f"unix:{between.path}")
        own.write_text(text + '\n[log]\nlevel = "debug"\n')
        key = load_pem_private_key((sandbox.directory / "sign-in.pem").read_bytes(), None)
        assert isinstance(key, RSAPrivateKey)
        cookies = Cookies(lambda: [cookie_key(key)], SystemClock())
        command = [sys.executable, "-P", "-s", "-m", "kiosk", "sign-in", "--config", str(own), "--until-stdin-closes"]
        with (
            (place / "page.log").open("ab") as log,
            subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT
            ) as page,
        ):
            assert page.stdin
            assert page.stdout
            assert page.stdout.readline() == b"ready\n"
            kiosk = AtTheKiosk(broker.http)
            begun = kiosk.begin()
            async with Phone(sandbox.url, sandbox.ca, before_redirect=redirected) as phone:

                def look(answer: bytes) -> bytes:
                    if b'"confirming"' in answer and not while_handed_over:
                        state = cookies.state(phone.browser._client.cookies[NAME])
                        assert state
                        assert state.flow
                        secrets["verifier"] = str(state.flow["code_verifier"]).encode()
                        found = {one for _, _, content in writable_regions(page.pid) for one in TOKEN.findall(content)}
                        secrets.update({f"token {n}": one[-60:] for n, one in enumerate(sorted(found))})
                        while_handed_over.update(copies(page.pid, secrets))
                    return answer

                between.meddle = look
                digits = await phone.sign_in(begun.view.scan, begun.words, sandbox.person("ada").oid)
            token = kiosk.token(kiosk.confirm(digits))
            tokens = [name for name in secrets if name.startswith("token")]
            assert any(token.encode().endswith(secrets[name]) for name in tokens)
            assert len(tokens) >= 2
            assert all(while_handed_over.values())
            assert while_handed_over.keys() >= {"code", "verifier"}
            wait_for(lambda: not any(copies(page.pid, secrets).values()))
            assert not any(copies(broker.pid, secrets).values())
            page.stdin.close()
        files = content_below(place)
        assert b"sign_in.confirmed" in files
        assert not [name for name, secret in secrets.items() if secret in files]
