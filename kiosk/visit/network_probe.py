"""Probes whether the network is back, after a visit that ended for lack of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx

from kiosk.api import broker_client
from kiosk.clock import Clock
from kiosk.config.kiosk import BrokerAddress, DeviceCodeSettings, KioskConfig
from kiosk.errors import KioskError
from kiosk.models import SignInMethod
from kiosk.net.http import aread_limited, timeouts
from kiosk.net.tls import tls_context
from kiosk.visit.answers import Network

_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 60.0


async def until_back(answers: Callable[[], Awaitable[bool]], clock: Clock, tell: Callable[[Network], None]) -> None:
    """Probe at once, then at growing intervals, and report each result. Returns when all services answer."""
    pause = _FIRST_PAUSE_SECONDS
    while not await answers():
        tell(Network.AWAY)
        await clock.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    tell(Network.BACK)


async def answers(config: KioskConfig) -> bool:
    """Whether every service that the kiosk itself needs gives a proper answer to a first request."""
    probes = [_broker(config.broker)]
    if config.sign_in.method is SignInMethod.DEVICE_CODE:
        probes.append(_authority(config.device_code_settings))
    return all(await asyncio.gather(*probes))


async def _authority(settings: DeviceCodeSettings) -> bool:
    url = f"{settings.authority.rstrip('/')}/v2.0/.well-known/openid-configuration"
    limits = timeouts(settings.connect_seconds, settings.total_seconds)
    return await _answers_in_json(
        lambda: httpx.AsyncClient(verify=tls_context(settings.ca_bundle), trust_env=False, timeout=limits),
        url,
        settings.total_seconds,
    )


async def _broker(address: BrokerAddress) -> bool:
    limits = timeouts(address.connect_seconds, address.total_seconds)
    return await _answers_in_json(lambda: broker_client(address, limits), "/readyz", address.total_seconds)


async def _answers_in_json(client: Callable[[], httpx.AsyncClient], url: str, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds), client() as probe, probe.stream("GET", url) as response:
            await aread_limited(response)
            # The login page of a captive portal also answers with success, but not in JSON.
            return response.is_success and "json" in response.headers.get("content-type", "")
    except (httpx.HTTPError, httpx.InvalidURL, KioskError, OSError):
        return False
