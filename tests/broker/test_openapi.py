"""docs/openapi.json is current, and describes every operation and code."""

from __future__ import annotations

import json

from kiosk.broker import openapi
from kiosk.errors import BY_CODE


def test_the_description_is_current() -> None:
    assert openapi.PATH.read_text() == openapi.description(), "run: python -m kiosk.broker.openapi"


def test_it_names_every_route_and_code() -> None:
    described = json.loads(openapi.description())
    assert {f"{method} {path}" for path, item in described["paths"].items() for method in item} == {
        "post /v1/sign-ins",
        "get /v1/sign-ins/{sign_in_id}",
        "delete /v1/sign-ins/{sign_in_id}",
        "post /v1/sign-ins/{sign_in_id}/confirm",
        "post /v1/page/alive",
        "post /v1/page/open",
        "post /v1/page/words",
        "post /v1/page/tokens",
        "post /v1/page/view",
        "post /v1/page/end",
        "get /v1/session",
        "delete /v1/session",
        "get /v1/devices",
        "post /v1/devices/{device_id}/release",
        "post /v1/releases/{release_id}/closed",
        "post /v1/releases/{release_id}/checked",
        "post /v1/releases/{release_id}/lost",
        "get /healthz",
        "get /readyz",
    }
    words = described["info"]["description"]
    for code in ("token_expired", "device_not_yours", "limit_person", "record_unavailable", "internal"):
        assert f"`{code}` ({BY_CODE[code].status})" in words
    assert "seal_broken" not in words
    for name, field in (("ReleaseRequest", "public_key"), ("Release", "sealed")):
        assert described["components"]["schemas"][name]["properties"][field]["contentEncoding"] == "base64"
    release = described["paths"]["/v1/devices/{device_id}/release"]["post"]
    assert release["responses"]["403"]["content"].keys() == {"application/problem+json"}
