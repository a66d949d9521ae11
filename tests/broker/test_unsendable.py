"""Tokens and answers that HTTP does not allow are refused with an error that quotes nothing of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.writer import Record
from kiosk.broker.sinks import open_sinks
from kiosk.broker.sinks.delivery import Delivery, Worker
from kiosk.broker.sinks.offsets import Offsets
from kiosk.broker.sinks.webhook import Webhook
from kiosk.clock import SystemClock
from kiosk.config.broker import SinkSettings
from kiosk.errors import ConfigError, SinkUnavailable
from kiosk.net.tls import tls_context
from tests.broker.conftest import Start
from tests.support.clock import ManualClock
from tests.support.collectors import answering
from tests.support.sandbox import RunningSandbox

SECRET = "s3cret"
UNSENDABLE = [f"{SECRET}\ntoken", f"{SECRET} token", f"{SECRET}\x00token", f"{SECRET}\x7ftoken", f"{SECRET}-tökén"]
GARBLED = f'HTTP/1.1 200 OK\r\n{{"value":"{SECRET}"}}\r\n\r\n'.encode()


def whole(content: object) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def files(sandbox: RunningSandbox) -> tuple[Path, Path]:
    return sandbox.directory / "server.pem", sandbox.directory / "server-key.pem"


@pytest.mark.parametrize("token", [*UNSENDABLE, "fine"], ids=ascii)
def test_neither_a_token_for_graph_nor_its_answer_is_quoted(
    start: Start, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture, token: str
) -> None:
    def answer(path: str, port: int) -> bytes:
        root = f"https://localhost:{port}/{sandbox.tenant}"
        if path.endswith("/openid-configuration"):
            endpoints = {name: f"{root}/{name}" for name in ("token_endpoint", "authorization_endpoint")}
            return whole(endpoints | {"issuer": f"{root}/v2.0"})
        if path.endswith("/token_endpoint"):
            return whole({"access_token": token, "token_type": "Bearer", "expires_in": 3600})
        return GARBLED

    with answering(*files(sandbox), answer) as port:
        graph = {"authority": f"https://localhost:{port}/{sandbox.tenant}", "url": f"https://localhost:{port}/beta"}
        with start(graph=graph) as broker:
            code = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code
            said = [str(row) for row in broker.rows()]
    assert code == ("graph_unavailable" if token == "fine" else "entra_garbled")
    assert ("RemoteProtocolError" if token == "fine" else "no token that can be sent") in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in "".join(said)


@pytest.mark.parametrize("token", [*map(str.encode, UNSENDABLE), UNSENDABLE[-1].encode("latin-1"), b"", b" \n"])
def test_a_token_of_a_sink_that_cannot_be_sent_is_found_at_start(place: Path, token: bytes) -> None:
    file = place / "token"
    file.write_bytes(token)
    sink = SinkSettings(kind="webhook", url="https://localhost/", mode="required", token_file=file)
    with pytest.raises(ConfigError, match=f"{file}: .*expected a token") as refused:
        open_sinks([sink], f"sqlite:///{place / 'record.db'}", SystemClock())
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("token", [*UNSENDABLE[:1], "fine"], ids=ascii)
def test_neither_a_token_of_a_sink_nor_its_answer_is_quoted(
    sandbox: RunningSandbox, place: Path, caplog: pytest.LogCaptureFixture, token: str
) -> None:
    database = f"sqlite:///{place / 'record.db'}"
    with answering(*files(sandbox), lambda _path, _port: GARBLED) as port:
        # Even if such a token gets through, the text of the HTTP library's own error is not passed on.
        sink = Webhook(f"https://localhost:{port}/", tls_context(sandbox.ca), token)
        clock = SystemClock()
        worker = Worker("webhook", sink, Offsets(database, "webhook", clock), clock, required=True)
        delivery = Delivery([worker], clock)
        record = Record(database, ManualClock(), [delivery])
        with delivery.running(), record.running(), pytest.raises(SinkUnavailable) as refused:
            asyncio.run(record.add(Entry(Event.SESSION_OPENED)))
    assert "ProtocolError" in refused.value.cause
    assert "ProtocolError" in caplog.text
    assert SECRET not in f"{refused.value.cause}{caplog.text}"
