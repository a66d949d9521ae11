"""Every kind of fault, seen from the client's side of a real connection."""

from __future__ import annotations

import json
import socket
import ssl
import time

import httpx
import pytest

from kiosk.net.tls import tls_context
from tests.support.sandbox import RunningSandbox

DEVICES = "/beta/deviceManagement/managedDevices"
LIST = {"$select": "id", "$top": "10"}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "UnknownError"),
        (403, "Forbidden"),
        (404, "ResourceNotFound"),
        (429, "TooManyRequests"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailable"),
        (418, "UnknownError"),
    ],
)
def test_refusals(sandbox: RunningSandbox, graph: httpx.Client, status: int, code: str) -> None:
    sandbox.fault(f"{DEVICES}*", status=status, times=2)
    for _ in range(2):
        response = graph.get(DEVICES)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
        assert "retry-after" not in response.headers
    assert graph.get(DEVICES, params=LIST).status_code == 200
    assert [one["fault"] for one in sandbox.requests(DEVICES)][-3:] == ["status", "status", ""]


def test_throttling_with_and_without_a_time(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    sandbox.fault(DEVICES, status=429, retry_after=7, times=1)
    sandbox.fault(DEVICES, status=429, times=1)
    assert graph.get(DEVICES).headers["retry-after"] == "7"
    assert "retry-after" not in graph.get(DEVICES).headers


def test_the_sign_in_service_fails_in_its_own_words(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    sandbox.fault("/*/oauth2/v2.0/*", method="POST", status=503)
    response = graph.post(f"/{sandbox.tenant}/oauth2/v2.0/token", data={})
    assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")


def test_a_page_in_mid_list(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    by_query = sandbox.fault(f"{DEVICES}[?]*skiptoken*", status=503, times=1)
    first = graph.get(DEVICES, params=LIST)
    assert first.status_code == 200
    assert graph.get(first.json()["@odata.nextLink"]).status_code == 503
    assert graph.get(first.json()["@odata.nextLink"]).status_code == 200
    listed = sandbox.admin.get("/sandbox/faults").json()["faults"]
    assert [(one["id"], one["hits"]) for one in listed if one["id"] == by_query] == [(by_query, 1)]
    sandbox.admin.delete(f"/sandbox/faults/{by_query}")
    sandbox.fault(DEVICES, skip=1, times=1)
    assert [graph.get(DEVICES, params=LIST).status_code for _ in range(3)] == [200, 503, 200]


def test_reset(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    sandbox.fault(DEVICES, "reset", times=1)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        graph.get(DEVICES)
    assert graph.get(DEVICES, params=LIST).status_code == 200
    assert sandbox.requests(DEVICES)[-2]["status"] == 0


def test_a_reset_is_one_on_the_wire(sandbox: RunningSandbox) -> None:
    """Check for the reset itself: Python's TLS sockets hide it, so TLS runs over a plain socket by hand."""
    sandbox.fault("/reset", "reset", times=1)
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = tls_context(sandbox.ca).wrap_bio(received, sent, server_hostname="localhost")
    with socket.create_connection(("localhost", httpx.URL(sandbox.url).port), timeout=5) as bare:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                bare.sendall(sent.read())
                received.write(bare.recv(65_536))
        tls.write(b"GET /reset HTTP/1.1\r\nhost: localhost\r\n\r\n")
        bare.sendall(sent.read())
        with pytest.raises(ConnectionResetError):
            read_to_the_end(bare)


def read_to_the_end(bare: socket.socket) -> None:
    while bare.recv(65_536):
        pass


def test_cut_in_the_middle(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    sandbox.fault(DEVICES, "cut", times=1)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        graph.get(DEVICES)


def test_truncated_json(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    sandbox.fault(DEVICES, "truncated", times=1)
    response = graph.get(DEVICES)
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()


def test_html_in_place_of_json(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    sandbox.fault(DEVICES, "html", times=1)
    response = graph.get(DEVICES)
    assert response.headers["content-type"].startswith("text/html")
    assert response.text.startswith("<!DOCTYPE html>")


def test_wrong_content_type(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    sandbox.fault(DEVICES, "wrong_type", times=1)
    response = graph.get(DEVICES, params=LIST)
    assert response.headers["content-type"] == "application/octet-stream"
    assert json.loads(response.content)["value"]


def test_huge_body(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    sandbox.fault(DEVICES, "huge", megabytes=8, times=2)
    response = graph.get(DEVICES)
    assert len(response.content) == 8 << 20
    assert response.json()["value"].startswith("AAAA")
    with graph.stream("GET", DEVICES) as stream:
        next(stream.iter_bytes())  # and then the client has had enough
    assert graph.get(DEVICES, params=LIST).status_code == 200


def test_delay_and_hang(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    sandbox.fault(DEVICES, "delay", seconds=0.3, times=1)
    begin = time.monotonic()
    assert graph.get(DEVICES, params=LIST).status_code == 200
    assert time.monotonic() - begin >= 0.3
    sandbox.fault(DEVICES, "hang", times=1)
    with pytest.raises(httpx.ReadTimeout):
        graph.get(DEVICES, timeout=0.2)
    assert graph.get(DEVICES, params=LIST).status_code == 200


def test_methods_are_told_apart(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    sandbox.fault(f"{DEVICES}*", method="POST", status=503)
    assert graph.get(DEVICES, params=LIST).status_code == 200
    assert graph.post(DEVICES).status_code == 503


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"field": "value.0.id", "value": "x"}, [{"id": "x"}, {"id": "b"}]),
        ({"field": "value.*.id", "value": "x"}, [{"id": "x"}, {"id": "x"}]),
        ({"field": "value.*.id"}, [{}, {}]),
        ({"field": "value.1"}, [{"id": "a"}]),
        ({"field": "value.*"}, []),
        ({"field": "value", "value": "{twice}"}, [{"id": "a"}, {"id": "b"}] * 2),
        ({"field": "value.7.id", "value": "x"}, [{"id": "a"}, {"id": "b"}]),
        ({"field": "value.id.deeper", "value": "x"}, [{"id": "a"}, {"id": "b"}]),
    ],
)
def test_one_field_is_changed(
    sandbox: RunningSandbox, graph: httpx.Client, change: dict[str, str], expected: list[dict[str, str]]
) -> None:
    ids = {
        device["id"]: name for device, name in zip(graph.get(DEVICES, params=LIST).json()["value"], "ab", strict=False)
    }
    query = {"$select": "id", "$top": "2"}
    sandbox.fault(DEVICES, "set", times=1, **change)
    answer = graph.get(DEVICES, params=query)
    assert answer.status_code == 200
    devices = answer.json()["value"]
    assert [{name: ids.get(value, value) for name, value in device.items()} for device in devices] == expected


def test_a_next_link_that_leads_back(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    sandbox.fault(DEVICES, "set", times=1, field="@odata.nextLink", value="{self}")
    answer = graph.get(f"{DEVICES}?$select=id&$top=10")
    assert answer.json()["@odata.nextLink"] == str(answer.request.url)


def test_what_is_not_json_stays_as_it_is(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    sandbox.fault("/devicelogin/people", "set", times=1, field="value")
    assert graph.get("/devicelogin/people").text.startswith("<!doctype html>")


@pytest.mark.parametrize("number", [53003, 99_999_999])
def test_refusals_of_the_sign_in_service(sandbox: RunningSandbox, graph: httpx.Client, number: int) -> None:
    sandbox.fault("/*/oauth2/v2.0/*", "aadsts", aadsts=number, times=1)
    response = graph.post(f"/{sandbox.tenant}/oauth2/v2.0/token", data={})
    assert (response.status_code, response.json()["error_codes"]) == (400, [number])
    assert response.headers["x-ms-request-id"] == response.json()["trace_id"]


@pytest.mark.parametrize(("kind", "piece"), [("endless", b"AAAA"), ("trickle", b"    ")])
def test_answers_without_an_end(sandbox: RunningSandbox, graph: httpx.Client, kind: str, piece: bytes) -> None:
    sandbox.fault(DEVICES, kind, seconds=0.01, times=1)
    received = b""
    with graph.stream("GET", DEVICES) as stream:
        assert "content-length" not in stream.headers
        for part in stream.iter_bytes():
            received += part
            if len(received) >= len(piece):
                break
    assert received.startswith(piece)
    assert graph.get(DEVICES, params=LIST).status_code == 200
