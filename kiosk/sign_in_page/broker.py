"""The page's client for the broker. Returns checked views, or raises KioskError."""

from __future__ import annotations

import asyncio
import math

import msgspec

from kiosk.broker_answers import kiosk_errors_only, problem
from kiosk.config.sign_in_page import PageBroker
from kiosk.errors import BrokerGarbled, SignInPageNotKnown
from kiosk.i18n import LANGUAGES, SOURCE
from kiosk.net.http import aread_limited, service_client, timeouts
from kiosk.sign_in_messages import (
    DIGITS,
    ChooseWords,
    EndAtPhone,
    HandOver,
    OpenLink,
    PhoneRequest,
    PhoneView,
    Stage,
)
from kiosk.sign_in_words import WORDS
from kiosk.text import clean

_JSON = {"Content-Type": "application/json"}
# Half of what brokers take from one address unless told otherwise: a second page may be behind the same one.
_MOST_CONNECTIONS = 8
_LONGEST_NAME = 200
_LONGEST_STAGE = 3600.0


class Broker:
    """Asks the broker for phones. Its methods raise KioskError and nothing else."""

    def __init__(self, settings: PageBroker) -> None:
        """Raises ConfigError if a certificate cannot be read."""
        self._total_seconds = float(settings.total_seconds)
        limits = timeouts(settings.connect_seconds, settings.total_seconds)
        self._client = service_client(
            settings.url,
            settings.ca_bundle,
            limits,
            certificate=settings.certificate,
            key=settings.key,
            most=_MOST_CONNECTIONS,
        )

    @kiosk_errors_only(SignInPageNotKnown)
    async def alive(self) -> None:
        """Report that the page works."""
        await self._send("alive", b"{}")

    async def open(self, body: OpenLink) -> PhoneView:
        """Open a link, which burns it."""
        return await self._ask("open", body)

    async def words(self, body: ChooseWords) -> PhoneView:
        """Tell which words the person chose."""
        return await self._ask("words", body)

    async def tokens(self, body: HandOver) -> PhoneView:
        """Hand over what Entra ID gave for the person."""
        return await self._ask("tokens", body)

    async def view(self, body: PhoneRequest) -> PhoneView:
        """Return how far the sign-in is."""
        return await self._ask("view", body)

    async def end(self, body: EndAtPhone) -> PhoneView:
        """End the sign-in."""
        return await self._ask("end", body)

    @kiosk_errors_only(SignInPageNotKnown)
    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @kiosk_errors_only(SignInPageNotKnown)
    async def _ask(self, what: str, body: msgspec.Struct) -> PhoneView:
        return _checked(msgspec.json.decode(await self._send(what, msgspec.json.encode(body)), type=PhoneView))

    async def _send(self, what: str, content: bytes) -> bytes:
        # The client's timeouts limit each read. This one limits the whole answer, which could trickle in forever.
        async with (
            asyncio.timeout(self._total_seconds),
            self._client.stream("POST", f"/v1/page/{what}", content=content, headers=_JSON) as response,
        ):
            answer = await aread_limited(response)
        if response.is_success:
            return answer
        raise problem(response.status_code, answer)

    def __repr__(self) -> str:
        return "<Broker>"


def _checked(view: PhoneView) -> PhoneView:
    """Return a view that can be shown. Raises BrokerGarbled."""
    words = {word for pair in view.choices for word in pair}
    if not (view.id and view.phone) or not words <= set(range(len(WORDS))):
        raise BrokerGarbled("a view without an id, or with words that do not exist")
    if view.stage is Stage.OPENED and not view.choices:
        raise BrokerGarbled("no words to choose from")
    if view.stage is Stage.CONFIRMING and not (len(view.digits) == DIGITS and view.digits.isdecimal()):
        raise BrokerGarbled("no digits to confirm with")
    return msgspec.structs.replace(
        view,
        language=view.language if view.language in LANGUAGES else SOURCE,
        seconds_left=min(max(view.seconds_left, 0.0), _LONGEST_STAGE) if math.isfinite(view.seconds_left) else 0.0,
        place=clean(view.place, _LONGEST_NAME),
        terminal=clean(view.terminal, _LONGEST_NAME),
        name=clean(view.name, _LONGEST_NAME),
        address=clean(view.address, _LONGEST_NAME),
        code=clean(view.code, 40),
        reference=clean(view.reference, 40),
    )
