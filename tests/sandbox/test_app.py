"""The sandbox as a web application, whichever service is behind it: methods, paths, ids, sizes, bugs."""

from __future__ import annotations

import httpx
import pytest

from tests.support.sandbox import RunningSandbox


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/devicelogin", "GET, HEAD, POST"),
        ("GET", "/devicelogin/answer", "POST"),
        ("POST", "/{tenant}/discovery/v2.0/keys", "GET, HEAD"),
        ("GET", "/{tenant}/oauth2/v2.0/token", "POST"),
        ("PUT", "/sandbox/faults", "DELETE, GET, HEAD, POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(sandbox: RunningSandbox, method: str, path: str, allowed: str) -> None:
    answer = sandbox.admin.request(method, path.format(tenant=sandbox.tenant))
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, allowed, b"")


def test_unknown_paths(sandbox: RunningSandbox, client: httpx.Client) -> None:
    for path in ("/no/such/page", "/sandbox", "/v2.0/users", f"/{sandbox.tenant}/oauth2/v2.0/logout"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (404, {"error": "not found"}), path
    # Without the token, nobody learns which paths there are.
    assert client.get("/sandbox/no-such-path").status_code == 401
    assert sandbox.admin.get("/sandbox/no-such-path").status_code == 404


def test_a_slash_at_the_end_makes_no_difference(sandbox: RunningSandbox, client: httpx.Client) -> None:
    assert client.get("/devicelogin/").status_code == client.get("/devicelogin").status_code == 200
    assert client.post(f"/{sandbox.tenant}/oauth2/v2.0/token/").json()["error_codes"] == [900144]


def test_a_head_is_a_page_without_its_body(client: httpx.Client) -> None:
    head, page = client.head("/devicelogin/people"), client.get("/devicelogin/people")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == page.headers["content-length"]


def test_a_request_has_one_id(sandbox: RunningSandbox, client: httpx.Client) -> None:
    first, second = (client.post(f"/{sandbox.tenant}/oauth2/v2.0/token") for _ in range(2))
    for answer in (first, second):
        ids = answer.json()
        assert ids["trace_id"] == ids["correlation_id"] == answer.headers["x-ms-request-id"]
        assert f"Trace ID: {ids['trace_id']}" in ids["error_description"]
    assert first.json()["trace_id"] != second.json()["trace_id"]


def test_a_request_may_not_be_endless(client: httpx.Client) -> None:
    answer = client.post("/devicelogin", content=b"x" * (2 << 20))
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert client.get("/devicelogin").status_code == 200


def test_a_bug_does_not_look_like_a_fault_of_the_network(sandbox: RunningSandbox) -> None:
    """Cause an error that the sandbox does not handle: PyJWT refuses a ``kid`` that is not a string."""
    order = {"person": sandbox.person("ada").oid, "headers": {"kid": 7}}
    answer = sandbox.admin.post("/sandbox/tokens", json=order)
    assert (answer.status_code, answer.json()) == (500, {"error": "the sandbox itself failed; see its log"})
    assert sandbox.admin.get("/sandbox/people").status_code == 200
