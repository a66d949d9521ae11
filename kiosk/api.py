"""The kiosk's client for the broker. Keeps the token to itself; returns typed answers or raises KioskError."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec

from kiosk.broker_answers import kiosk_errors_only, problem
from kiosk.config.kiosk import BrokerAddress
from kiosk.errors import BrokerGarbled, KioskError, TokenProofTime
from kiosk.models import (
    PROOF_HEADER,
    TERMINAL_HEADER,
    Device,
    Devices,
    Ending,
    Release,
    ReleaseChecked,
    ReleaseClosed,
    ReleaseRequest,
    Session,
)
from kiosk.net.http import aread_limited, service_client, timeouts
from kiosk.proof import Prover
from kiosk.sign_in_messages import BeginSignIn, Confirm, Confirmed, SignInBegun, SignInView

log = logging.getLogger(__name__)

_MOST_PAGES = 50
_FAREWELL_SECONDS = 2.0
# A poll of a sign-in; the next one comes a second later.
_POLL_SECONDS = 5.0
_LOST_SECONDS = 5.0

Answer = TypeVar("Answer", bound=msgspec.Struct)


def broker_client(address: BrokerAddress, limits: httpx.Timeout) -> httpx.AsyncClient:
    """Return an HTTP client that shows the kiosk's certificate, if it has one. Raises ConfigError."""
    certificate, key = address.certificate, address.key
    return service_client(address.url, address.ca_bundle, limits, certificate=certificate, key=key)


class Broker:
    """A client of the broker for one visit. Its methods raise KioskError and nothing else."""

    def __init__(self, address: BrokerAddress, authorization: Callable[[], str], terminal: str, prover: Prover) -> None:
        """Raises ConfigError.

        ``terminal`` is the name of this terminal for the broker's record. The broker binds the token to the keys of
        ``prover``.
        """
        self._prover = prover
        self._total_seconds = float(address.total_seconds)
        self._client = broker_client(address, timeouts(address.connect_seconds, address.total_seconds))
        self._authorization = authorization
        self._terminal = _header(terminal)

    @kiosk_errors_only()
    async def begin_sign_in(self, body: BeginSignIn) -> SignInBegun:
        """Begin a sign-in on the phone. Ends the one before at this terminal."""
        return await self._ask("POST", "/v1/sign-ins", SignInBegun, body, anonymous=True)

    @kiosk_errors_only()
    async def sign_in(self, sign_in_id: str) -> SignInView:
        """Return how far a sign-in is. Has a short time limit, because it is asked again each second."""
        return await self._ask("GET", _of_sign_in(sign_in_id), SignInView, anonymous=True, seconds=_POLL_SECONDS)

    @kiosk_errors_only()
    async def confirm_sign_in(self, sign_in_id: str, body: Confirm) -> bytes:
        """Return the access token, sealed to this visit, for the digits that the phone shows."""
        path = f"{_of_sign_in(sign_in_id)}/confirm"
        return (await self._ask("POST", path, Confirmed, body, anonymous=True)).sealed

    @kiosk_errors_only()
    async def cancel_sign_in(self, sign_in_id: str) -> None:
        """End a sign-in. Has the same short time limit as ``closed``."""
        await self._send("DELETE", _of_sign_in(sign_in_id), seconds=_FAREWELL_SECONDS, anonymous=True)

    @kiosk_errors_only()
    async def session(self) -> Session:
        """Return who signed in according to the broker, and whether a reason is needed."""
        session = await self._ask("GET", "/v1/session", Session)
        if not (session.person.tid and session.person.oid):
            raise BrokerGarbled("a session of nobody")
        return session

    @kiosk_errors_only()
    async def devices(self) -> list[Device]:
        """Return all devices of the person, from all pages of the list."""
        found: dict[str, Device] = {}
        seen: set[str] = set()
        path = "/v1/devices"
        until = asyncio.get_running_loop().time() + self._total_seconds
        while True:
            page = await self._ask("GET", path, Devices, until=until)
            for device in page.devices:
                if not device.id:
                    raise BrokerGarbled("a device without an id")
                found.setdefault(device.id, device)
            if not page.next:
                return list(found.values())
            if page.next in seen or len(seen) >= _MOST_PAGES:
                raise BrokerGarbled(f"pages without end after {len(seen)}")
            seen.add(page.next)
            path = "/v1/devices?" + str(httpx.QueryParams({"cursor": page.next}))

    @kiosk_errors_only()
    async def release(self, device_id: str, public_key: bytes, reason: str | None = None) -> Release:
        """Return the recovery key of one device, sealed to ``public_key``."""
        body = ReleaseRequest(public_key=public_key, reason=reason)
        path = f"/v1/devices/{_segment(device_id)}/release"
        return await self._ask("POST", path, Release, body)

    @kiosk_errors_only()
    async def closed(self, release_id: str, how: Ending, shown_seconds: float) -> None:
        """Report how a reveal ended. Has a short time limit: the person is leaving."""
        body = ReleaseClosed(how=how, shown_seconds=round(shown_seconds, 1))
        path = f"/v1/releases/{_segment(release_id)}/closed"
        await self._send("POST", path, body, seconds=_FAREWELL_SECONDS)

    @kiosk_errors_only()
    async def checked(self, release_id: str, checked: ReleaseChecked) -> None:
        """Report how the check of a copy went. Has the same short time limit as ``closed``."""
        await self._send("POST", f"/v1/releases/{_segment(release_id)}/checked", checked, seconds=_FAREWELL_SECONDS)

    @kiosk_errors_only()
    async def end_session(self) -> None:
        """Make the token useless. Has the same short time limit as ``closed``."""
        await self._send("DELETE", "/v1/session", seconds=_FAREWELL_SECONDS)

    @kiosk_errors_only()
    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[Answer],
        body: msgspec.Struct | None = None,
        *,
        seconds: float | None = None,
        until: float | None = None,
        anonymous: bool = False,
    ) -> Answer:
        answer = await self._send(method, path, body, seconds=seconds, until=until, anonymous=anonymous)
        return msgspec.json.decode(answer, type=kind)

    async def _send(
        self,
        method: str,
        path: str,
        body: msgspec.Struct | None = None,
        *,
        seconds: float | None = None,
        until: float | None = None,
        anonymous: bool = False,
    ) -> bytes:
        """Return the answer of the broker. ``anonymous`` requests come before there is a token."""
        until = until or asyncio.get_running_loop().time() + (seconds or self._total_seconds)
        # The client's timeouts limit each read. This one limits the whole answer, which could trickle in forever.
        async with asyncio.timeout_at(until):
            try:
                return await self._send_once(method, path, body, anonymous=anonymous)
            except TokenProofTime as refusal:
                if refusal.broker_time is None:
                    raise
                self._prover.follow(refusal.broker_time)
            return await self._send_once(method, path, body, anonymous=anonymous)

    async def _send_once(self, method: str, path: str, body: msgspec.Struct | None, *, anonymous: bool) -> bytes:
        authorization = "" if anonymous else self._authorization()
        content = b"" if body is None else msgspec.json.encode(body)
        headers = {TERMINAL_HEADER: self._terminal}
        if authorization:
            headers["Authorization"] = authorization
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = self._client.build_request(method, path, headers=headers, content=content or None)
        target, token = request.url.raw_path.decode(), authorization.partition(" ")[2]
        request.headers[PROOF_HEADER] = self._prover.proof(method, target, token, content)
        response = await self._client.send(request, stream=True)
        try:
            answer = await aread_limited(response)
        finally:
            await response.aclose()
        if response.is_success:
            return answer
        raise problem(response.status_code, answer)

    def __repr__(self) -> str:
        return "<Broker>"


def _of_sign_in(sign_in_id: str) -> str:
    """Return the path of a sign-in."""
    return f"/v1/sign-ins/{_segment(sign_in_id)}"


def _segment(identifier: str) -> str:
    """Return an id as one path segment, with all special characters quoted."""
    return quote(identifier, safe="")


def _header(name: str) -> str:
    """Return a name with all characters replaced that a header forbids: a host name can contain anything."""
    return "".join(character if " " <= character <= "~" else "?" for character in name).strip()


def tell_lost(address: BrokerAddress, terminal: str, release_ids: list[str], how: Ending) -> None:
    """Tell the broker of reveals that ended with their process. Takes a few seconds at most; logs a failure.

    The token is gone by then. The id of a release is enough to report its end, and allows nothing else.
    """
    body = msgspec.json.encode(ReleaseClosed(how=how))
    headers = {"Content-Type": "application/json", TERMINAL_HEADER: _header(terminal)}

    async def tell() -> None:
        limits = timeouts(_FAREWELL_SECONDS, _FAREWELL_SECONDS)
        async with (
            asyncio.timeout(_LOST_SECONDS),
            broker_client(address, limits) as client,
        ):
            for release_id in release_ids:
                path = f"/v1/releases/{_segment(release_id)}/lost"
                async with client.stream("POST", path, content=body, headers=headers) as response:
                    if response.is_error:
                        log.warning("the broker did not accept a lost reveal: status %s", response.status_code)

    try:
        asyncio.run(tell())
    except (httpx.HTTPError, KioskError, OSError) as error:
        log.warning("the broker was not told of %s lost reveals: %s", len(release_ids), type(error).__name__)
