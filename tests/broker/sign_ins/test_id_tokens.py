"""What a sign-in page may hand over: one change at a time to two tokens that are good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kiosk.broker.sign_ins.id_tokens import Accepted, PhoneTokens
from kiosk.config.broker import Rules
from kiosk.errors import PhoneSignInError, TokensUnavailable
from kiosk.models import SignInMethod
from tests.support.authority import Mode
from tests.support.tokens import AUDIENCE, CLIENT, FOREIGN, ISSUER, LEFT_OUT, OID, Validation, running_validation

NONCE = "the nonce of this sign-in"
OTHER = "dddddddd-2222-3333-4444-555555555555"


@pytest.fixture
async def validation() -> AsyncIterator[Validation]:
    async with running_validation(SignInMethod.WEB) as made:
        yield made


def id_token(validation: Validation, **changes: Any) -> str:
    usual = {"aud": CLIENT, "nonce": NONCE, "acrs": ["c7"], "amr": ["pwd", "mfa"], "scp": LEFT_OUT, "azp": LEFT_OUT}
    return validation.signed(**(usual | changes))


async def accepted(
    validation: Validation, first: str = "", second: str = "", *, context: str | None = "c7", rules: Rules | None = None
) -> Accepted:
    """Validate two tokens, good ones unless given, for a sign-in that was begun now."""
    tokens = PhoneTokens(validation.tokens, rules or Rules(), CLIENT, context, validation.clock)
    first, second = first or id_token(validation), second or validation.signed(azpacr="2")
    return await tokens.accept(first, second, nonce=NONCE, begun_at=validation.now)


async def code_of(validation: Validation, first: str = "", second: str = "", context: str | None = "c7") -> str:
    """Return the code of the refusal, empty if there is none. It must not quote a token."""
    try:
        await accepted(validation, first, second, context=context)
    except PhoneSignInError as error:
        refusal = error
    else:
        return ""
    # A single letter may be in any text.
    assert not [token for token in (first, second) if len(token) > 1 and token in f"{refusal.cause}{refusal!r}"]
    return refusal.code


async def test_good_tokens_name_the_person_and_how_they_signed_in(validation: Validation) -> None:
    found = await accepted(validation)
    assert (found.caller.person.oid, found.caller.uti, found.refusal) == (OID, "u1", None)
    assert (found.acrs, found.amr) == (("c7",), ("pwd", "mfa"))


ID_TOKENS: list[tuple[str, dict[str, Any], str]] = [
    ("another tenant", {"tid": FOREIGN}, "phone_tokens_refused"),
    ("another issuer", {"iss": ISSUER.replace("login", "other")}, "phone_tokens_refused"),
    ("a guest", {"acct": 1}, "phone_tokens_refused"),
    ("for our interface", {"aud": AUDIENCE}, "phone_tokens_refused"),
    ("for another application", {"aud": OTHER}, "phone_tokens_refused"),
    ("for two", {"aud": [CLIENT, OTHER]}, "phone_tokens_refused"),
    ("of version 1", {"ver": "1.0"}, "phone_tokens_refused"),
    ("expired", {"exp": 1}, "phone_tokens_refused"),
    ("without an end", {"exp": LEFT_OUT}, "phone_tokens_refused"),
    ("of somebody else", {"oid": OTHER}, "phone_tokens_refused"),
    ("of nobody", {"oid": LEFT_OUT}, "phone_tokens_refused"),
    ("the same person in capitals", {"oid": OID.upper()}, ""),
    ("of another sign-in", {"nonce": "another"}, "phone_nonce_wrong"),
    ("without a nonce", {"nonce": LEFT_OUT}, "phone_nonce_wrong"),
    ("with an empty nonce", {"nonce": ""}, "phone_nonce_wrong"),
    ("with a nonce that is no ASCII", {"nonce": "ß\u202e"}, "phone_nonce_wrong"),
    ("with a nonce that is no text", {"nonce": 7}, "phone_tokens_refused"),
    ("without auth_time", {"auth_time": LEFT_OUT}, "phone_no_auth_time"),
    ("with auth_time as text", {"auth_time": "now"}, "phone_tokens_refused"),
    ("without acrs", {"acrs": LEFT_OUT}, "phone_no_context"),
    ("with other acrs", {"acrs": ["c1", "c71", "c"]}, "phone_no_context"),
    ("with the context among others", {"acrs": ["c1", "C7"]}, ""),
    ("with one context as text", {"acrs": "c7"}, ""),
    ("with a context as a part of text", {"acrs": "c1,c7"}, "phone_no_context"),
]


@pytest.mark.parametrize(("changes", "code"), [case[1:] for case in ID_TOKENS], ids=[case[0] for case in ID_TOKENS])
async def test_an_id_token(validation: Validation, changes: dict[str, Any], code: str) -> None:
    assert await code_of(validation, id_token(validation, **changes)) == code


STALE, EARLY = "phone_sign_in_stale", "phone_tokens_refused"


@pytest.mark.parametrize(("after", "code"), [(-3600, STALE), (-61, STALE), (-60, ""), (0, ""), (60, ""), (61, EARLY)])
async def test_the_sign_in_belongs_to_this_visit(validation: Validation, after: int, code: str) -> None:
    assert await code_of(validation, id_token(validation, auth_time=validation.now + after)) == code


async def test_without_a_configured_context_none_is_needed(validation: Validation) -> None:
    assert await code_of(validation, id_token(validation, acrs=LEFT_OUT), context=None) == ""


FORGED: list[tuple[str, dict[str, Any]]] = [("a stranger's key", {"key": "stranger"}), ("a wrong kid", {"kid": "two"})]


@pytest.mark.parametrize("how", [case[1] for case in FORGED], ids=[case[0] for case in FORGED])
async def test_a_forged_token_of_either_kind(validation: Validation, how: dict[str, Any]) -> None:
    assert await code_of(validation, id_token(validation, **how)) == "phone_tokens_refused"
    assert await code_of(validation, "", validation.signed(azpacr="2", **how)) == "phone_tokens_refused"


@pytest.mark.parametrize("token", ["x", "a.b.c", "ß", "x" * 16_385, "e30.e30."])
async def test_what_is_no_token(validation: Validation, token: str) -> None:
    assert await code_of(validation, token) == "phone_tokens_refused"
    assert await code_of(validation, "", token) == "phone_tokens_refused"


ACCESS_TOKENS: list[tuple[str, dict[str, Any]]] = [
    ("of a public client", {"azpacr": "0"}),
    ("of a client with a secret", {"azpacr": "1"}),
    ("of another application", {"azp": OTHER}),
    ("of another tenant", {"tid": FOREIGN}),
    ("for another interface", {"aud": OTHER}),
    ("for another scope", {"scp": "User.Read"}),
    ("of an application alone", {"idtyp": "app"}),
    ("expired", {"exp": 1}),
    ("of an earlier sign-in", {"auth_time": 1}),
    ("of another person", {"oid": OTHER}),
]


@pytest.mark.parametrize("changes", [case[1] for case in ACCESS_TOKENS], ids=[case[0] for case in ACCESS_TOKENS])
async def test_an_access_token(validation: Validation, changes: dict[str, Any]) -> None:
    assert await code_of(validation, "", validation.signed(**({"azpacr": "2"} | changes))) == "phone_tokens_refused"


async def test_an_id_token_is_no_access_token_and_the_other_way_round(validation: Validation) -> None:
    assert await code_of(validation, validation.signed(azpacr="2", nonce=NONCE)) == "phone_tokens_refused"
    assert await code_of(validation, "", id_token(validation)) == "phone_tokens_refused"


async def test_the_rules_for_people_apply(validation: Validation) -> None:
    found = await accepted(validation, rules=Rules(blocked_people=(OID,)))
    assert found.refusal
    assert found.refusal.code == "person_blocked"


async def test_without_signing_keys_nothing_is_refused_for_good(validation: Validation) -> None:
    validation.authority.mode = Mode.FAILS
    with pytest.raises(TokensUnavailable):
        await accepted(validation)
