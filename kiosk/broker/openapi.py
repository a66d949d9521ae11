"""Writes the OpenAPI description of the broker's interface: ``python -m kiosk.broker.openapi``."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, cast

import msgspec
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from kiosk import __version__, models
from kiosk.broker.routes import TERMINAL_HEADER, VISIT_HEADER, create_app
from kiosk.broker.service import Service
from kiosk.errors import (
    BY_CODE,
    PROBLEM_TYPE,
    BrokerGarbled,
    BrokerUnreachable,
    KioskError,
    Refused,
    SealBroken,
    Unavailable,
)

PATH = Path(__file__).parents[2] / "docs" / "openapi.json"

# What only the kiosk can say, of us.
_OF_KIOSK = {BrokerGarbled, BrokerUnreachable, SealBroken}

_ABOUT = f"""\
Releases the FileVault personal recovery key of a person's own managed Mac, sealed to the public key of their visit
(HPKE, RFC 9180: MLKEM768-X25519, HKDF-SHA256, ChaCha20-Poly1305). Bytes are base64. The header `{TERMINAL_HEADER}` may
name the terminal for the record. A token serves one visit: the public key that is named first with it, in a release or
by its fingerprint (SHA-256, hexadecimal) in the header `{VISIT_HEADER}` of any request, is the only one from then on.

Errors are problem documents (RFC 9457). Their `type` is `{PROBLEM_TYPE}` followed by one of these codes:

"""

_HEADERS = (
    {
        "name": TERMINAL_HEADER,
        "in": "header",
        "required": False,
        "description": "How the kiosk calls itself; for the record, and for limits per kiosk. Not proven.",
        "schema": {"type": "string"},
    },
    {
        "name": VISIT_HEADER,
        "in": "header",
        "required": False,
        "description": "The fingerprint (SHA-256) of the visit's public key, which the token is bound to.",
        "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
    },
)


def description() -> str:
    """The description as JSON text, the same at every call."""
    # Describing the interface asks nothing of the service behind it.
    schema = create_app(cast("Service", None), openapi=_config()).openapi_schema.to_schema()
    for name, described in schema["components"]["schemas"].items():
        if struct := getattr(models, name, None):
            _complete(described, struct)
    for path, operations in schema["paths"].items():
        for operation in operations.values() if path.startswith("/v1/") else ():
            operation["parameters"] = [*operation.get("parameters", []), *_HEADERS]
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


def _config() -> OpenAPIConfig:
    visit = SecurityScheme(
        type="http", scheme="bearer", bearer_format="JWT", description="The person's token for this interface."
    )
    return OpenAPIConfig(
        title="Recovery kiosk broker",
        version=__version__,
        description=_ABOUT + "\n".join(_codes()),
        components=Components(security_schemes={"visit": visit}),
        security=[{"visit": []}],
        use_handler_docstrings=True,
    )


def _codes() -> list[str]:
    kinds = [kind for kind in BY_CODE.values() if issubclass(kind, (Refused, Unavailable)) and kind not in _OF_KIOSK]
    return sorted(f"- `{kind.code}` ({kind.status})" for kind in (KioskError, *kinds))


def _complete(described: dict[str, Any], struct: type) -> None:
    """Add what the generator leaves out: the words on a message, and how bytes are written."""
    described["description"] = inspect.cleandoc(struct.__doc__ or "").replace("``", "`")
    if issubclass(struct, msgspec.Struct):
        for field in msgspec.structs.fields(struct):
            if field.type is bytes:
                described["properties"][field.encode_name]["contentEncoding"] = "base64"


if __name__ == "__main__":
    PATH.write_text(description(), encoding="utf-8")
