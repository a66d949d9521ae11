"""Every call that is made for a sign-in on the phone, by kiosk and sign-in page, and which faults are played at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.faults.calls import BROKER, DISCOVERY, EVERY_FAULT, LINE_FAULTS, MISSING, SIGN_IN, TOKEN, Call, shapes

# Each call meets this one, and all calls share the others.
_EACH = "reset"
_LOST = frozenset({"phone_link_used", "phone_cancelled", "phone_sign_in_unknown"})
_PAGE = BROKER | _LOST
_ENTRA = SIGN_IN | {"phone_sign_in_failed"}
_ODD: tuple[Any, ...] = (MISSING, None, "", 7, [], {})


def _odd(*fields: str) -> tuple[tuple[str, Any], ...]:
    return tuple((field, value) for field in fields for value in _ODD)


# ``after`` is the event after which a faulty connection starts: an answer, or a step of the person.
CALLS = (
    Call(
        "kiosk begins a sign-in",
        "broker",
        "",
        "/v1/sign-ins",
        None,
        BROKER,
        (*_odd("id", "words", "view", "view.stage"), ("words", [900, 901])),
        method="POST",
    ),
    Call(
        "kiosk asks how far it is",
        "broker",
        "",
        "/v1/sign-ins/*",
        "broker POST /v1/sign-ins",
        # An end without a reason is one that only a newer broker knows. The phone hears that the kiosk began again.
        BROKER | {"unavailable", "kiosk_cancelled"},
        (
            *_odd("stage", "seconds_left"),
            ("stage", "confirming"),
            ("stage", "confirmed"),
            ("stage", "ended"),
            ("seconds_left", 1e300),
        ),
        method="GET",
    ),
    Call(
        "kiosk confirms the digits",
        "broker",
        "",
        "/v1/sign-ins/*/confirm",
        "digits",
        BROKER | {"seal_broken"},
        (*_odd("sealed"), ("sealed", "AAAA")),
    ),
    Call("kiosk cancels", "broker", "", "/v1/sign-ins/*", "leaves", frozenset(), method="DELETE"),
    Call("page reports that it works", "page", "", "/v1/page/alive", None, frozenset({"sign_in_page_down"})),
    Call("page opens a link", "page", "", "/v1/page/open", None, _PAGE, (*_odd("id", "phone", "stage"),)),
    Call(
        "page asks how far it is",
        "page",
        "",
        "/v1/page/view",
        "page POST /v1/page/open",
        _PAGE | {"digits_refused"},
        (*_odd("stage", "digits", "choices"), ("choices", [[900, 901]]), ("digits", "12345x"), ("stage", "confirming")),
    ),
    Call("page tells the words", "page", "", "/v1/page/words", "words", _PAGE, (*_odd("stage"), ("stage", "ended"))),
    Call(
        "page hands over the tokens",
        "page",
        "",
        "/v1/page/tokens",
        f"entra POST {TOKEN}",
        # The tokens are lost, and a code gives them only once.
        _PAGE | {"phone_sign_in_failed"},
        (*_odd("stage", "digits"), ("stage", "ended")),
    ),
    Call("page ends a sign-in", "page", "", "/v1/page/end", "cancels", BROKER | {"phone_cancelled"}),
    Call(
        "page asks the authority for its discovery",
        "entra",
        "",
        DISCOVERY,
        None,
        _ENTRA | {"sign_in_address"},
        (*_odd("authorization_endpoint", "token_endpoint"), ("authorization_endpoint", "https://elsewhere/a")),
    ),
    Call(
        "page redeems the code",
        "entra",
        "",
        TOKEN,
        "entra GET */oauth2/v2.0/authorize",
        _ENTRA | {"phone_tokens_refused", "phone_nonce_wrong"},
        (*_odd("id_token", "access_token"), ("access_token", "a.b.c"), ("id_token", "a.b.c")),
    ),
)


@dataclass(eq=False)
class Cell:
    """One fault at one call."""

    call: Call
    name: str
    fault: dict[str, Any] | None = None
    line: str = ""

    def __str__(self) -> str:
        return f"{self.call.name}: {self.name}"


def cells(*, every: bool) -> Iterator[Cell]:
    """Yield the cells; unless it is ``every`` one, the calls share the faults that all clients treat alike."""
    others = [name for name, _ in EVERY_FAULT if name != _EACH]
    for place, call in enumerate(CALLS):
        for name, fault in EVERY_FAULT:
            if every or name == _EACH or name in others[place :: len(CALLS)]:
                yield Cell(call, name, fault={"path": call.path, "method": call.method, **fault})
        for line in LINE_FAULTS if every else LINE_FAULTS[place :: len(CALLS)]:
            yield Cell(call, line, line=line)
        for field, value in call.shapes if every else _few_shapes(call):
            change = {"path": call.path, "method": call.method, "kind": "set", "field": field}
            shown = "missing" if value is MISSING else repr(value)[:40]
            yield Cell(call, f"{field} is {shown}", fault=change | ({} if value is MISSING else {"value": value}))


def _few_shapes(call: Call) -> Iterator[tuple[str, Any]]:
    """Yield all wrong values with a meaning of their own, and one field with a value that makes no sense."""
    chosen = list(shapes(call, every=False))
    senseless = [one for one in chosen if one[1] in _ODD]
    yield from senseless[CALLS.index(call) % len(senseless) :][:1] if senseless else ()
    yield from (one for one in chosen if one not in senseless)
