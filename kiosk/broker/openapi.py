"""Writes the OpenAPI description of the broker's interface: ``python -m kiosk.broker.openapi``."""

from __future__ import annotations

import http
import inspect
import json
import re
from pathlib import Path
from typing import Any

import msgspec

from kiosk.broker import problems
from kiosk.broker.routes import JSON, OPERATIONS, Operation
from kiosk.broker.visitor import AtPage
from kiosk.errors import (
    BY_CODE,
    PROBLEM_TYPE,
    BrokerGarbled,
    BrokerUnreachable,
    KioskError,
    PhoneForged,
    PhoneNoCookie,
    PhoneSignInError,
    Refused,
    SealBroken,
    Unavailable,
)
from kiosk.models import PROOF_HEADER, TERMINAL_HEADER, Health, Message, Problem, Proof

# The version of the interface. It changes with the interface, and not with each version of the program.
VERSION = "1.0"
PATH = Path(__file__).parents[2] / "docs" / "openapi.json"

# Only kiosks and sign-in pages have these errors, some of them when they ask the broker.
_OF_OTHERS = {BrokerGarbled, BrokerUnreachable, PhoneForged, PhoneNoCookie, SealBroken}

_ABOUT = f"""\
Releases the FileVault personal recovery key of a person's own managed Mac, sealed to the public key of their visit
(HPKE, RFC 9180: MLKEM768-X25519, HKDF-SHA256, ChaCha20-Poly1305). Bytes are base64. The header `{TERMINAL_HEADER}` may
name the terminal for the record. A token serves one visit: each request with a token proves in the header
`{PROOF_HEADER}` (RFC 9449) that it comes from there. The digits of a sign-in on the phone bind the token to the keys of
the visit, or the first request of a token from a device code. A proof without a token is for the empty one.

Errors are problem documents (RFC 9457). Their `type` is `{PROBLEM_TYPE}` followed by one of these codes:

"""

_TERMINAL = {
    "name": TERMINAL_HEADER,
    "in": "header",
    "required": False,
    "description": "The kiosk's own name; for the record, and for limits per kiosk. Not authenticated.",
    "schema": {"type": "string"},
}
_PROOF = {
    "name": PROOF_HEADER,
    "in": "header",
    "required": True,
    "description": "A compact JWS (RFC 9449) with the claims of the schema `Proof`, made just now and used once. `typ`"
    " is `dpop+jwt`, `alg` is `EdDSA`, `jwk` an Ed25519 key.",
    "schema": {"type": "string", "contentMediaType": "application/jwt"},
}
_NO_STORE = {"cache-control": {"schema": {"const": problems.NO_STORE["cache-control"]}}}


def description() -> str:
    """Return the description as JSON text, the same on every call."""
    kinds: set[type[Message]] = {Problem, Proof}
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
        kinds |= {kind for kind in (operation.body, operation.returns) if kind}
    described = {
        "openapi": "3.1.0",
        "info": {"title": "Recovery kiosk broker", "version": VERSION, "description": _ABOUT + _codes()},
        "servers": [{"url": "/"}],
        "security": [{"visit": []}],
        "paths": paths,
        "components": {"schemas": _schemas(kinds), "securitySchemes": {"visit": _token()}},
    }
    return json.dumps(described, indent=1, sort_keys=True) + "\n"


def _token() -> dict[str, str]:
    about = "The person's token for this interface."
    return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": about}


def _operation(operation: Operation) -> dict[str, Any]:
    name = operation.handler.__name__
    described: dict[str, Any] = {
        "operationId": name,
        "summary": name.capitalize(),
        "description": inspect.getdoc(operation.handler),
        "tags": [operation.tag],
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.body:
        described["requestBody"] = {"required": True, "content": _content(operation.body)}
    if not operation.needs_token:
        described["security"] = [{}]
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    at_kiosk = operation.visitor and operation.visitor is not AtPage
    return in_path + ([_TERMINAL] if at_kiosk else []) + ([_PROOF] if operation.needs_proof else [])


def _responses(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": http.HTTPStatus(operation.status).description, "headers": _NO_STORE}
    if operation.returns:
        good["content"] = _content(operation.returns)
    bad: dict[str, Any] = {
        "description": "A problem document; its type ends in a stable code.",
        "content": _content(Problem, problems.MEDIA_TYPE),
    }
    responses = {str(operation.status): good} | {str(status): bad for status in operation.problems}
    if operation.returns is Health:
        stopping = {"description": "About to stop (`healthy` is false), or a problem document."}
        responses["503"] = stopping | {"content": bad["content"] | _content(Health)}
    return responses


def _content(kind: type[Message], media_type: str = JSON) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}


def _schemas(kinds: set[type[Message]]) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for schema in schemas.values():
        schema["description"] = inspect.cleandoc(schema["description"]).replace("``", "`")
    return schemas


def _codes() -> str:
    ours = (Refused, Unavailable, PhoneSignInError)
    kinds = [kind for kind in BY_CODE.values() if issubclass(kind, ours) and kind not in _OF_OTHERS]
    return "\n".join(sorted(f"- `{kind.code}` ({kind.status})" for kind in (KioskError, *kinds)))


if __name__ == "__main__":
    PATH.write_text(description(), encoding="utf-8")
