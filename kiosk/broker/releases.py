"""Makes a release: from the request to the sealed key, in the order that makes it safe."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta

from cryptography.hazmat.primitives.hpke import MLKEM768X25519PublicKey

from kiosk.broker import logs, rules
from kiosk.broker.allowance import Allowance
from kiosk.broker.graph.client import Graph
from kiosk.broker.graph.encryption import described, key_warning, why_no_key
from kiosk.broker.graph.managed_device import ManagedDevice, guid
from kiosk.broker.graph.requests import CallBudget
from kiosk.broker.metrics import OK, Metrics
from kiosk.broker.record.limits import Limits
from kiosk.broker.record.schema import KEY_FETCHED, Entry, Event
from kiosk.broker.record.writer import Record
from kiosk.broker.seal import seal
from kiosk.broker.visitor import SignedIn
from kiosk.clock import Clock
from kiosk.config.broker import LimitSettings, Rules
from kiosk.errors import (
    DeviceNotFound,
    DevicePersonal,
    DeviceRefused,
    GraphGarbled,
    GraphRefused,
    KeyNotEscrowed,
    KioskError,
    ReasonRequired,
    RecordUnavailable,
    Refused,
    RequestInvalid,
    RequestLimit,
    SinkUnavailable,
    TokenRefused,
)
from kiosk.models import Release, ReleaseRequest
from kiosk.process.logging import place_of
from kiosk.secret import public_key_from_bytes, release_info
from kiosk.text import clean

# The longest reveal that a kiosk may be configured for.
_OPEN = timedelta(hours=1)
_ID_LENGTH = 36
_DIAGNOSIS_SECONDS = 5
_HOUR = 3600.0
# Refusals that say nothing against the person: a sign-in that was taken from them, and a reason that they mistyped.
_NOT_COUNTED = (TokenRefused, ReasonRequired)


@dataclass
class _Attempt:
    """What is known of a release so far, for its entries on the record."""

    visitor: SignedIn
    budget: CallBudget
    device_id: str
    release_id: str
    reason: str = ""
    device: ManagedDevice | None = None
    intended: bool = False
    fetched: bool = False

    def entry(self, event: Event) -> Entry:
        """Return an entry for the record with everything that is known so far."""
        return replace(
            self.visitor.entry(event),
            device_id=self.device_id,
            device_name=self.device.name if self.device else "",
            serial=self.device.serial if self.device else "",
            owner_type=self.device.owner if self.device else "",
            reason=self.reason,
            release_id=self.release_id,
            client_request_id=self.budget.client_request_id,
            request_id=self.budget.request_id,
        )

    def info(self) -> bytes:
        """Return what HPKE binds the sealed key to: person, device and release."""
        return release_info(
            tid=self.visitor.tid, oid=self.visitor.oid, device_id=self.device_id, release_id=self.release_id
        )


class Releases:
    """Decides, records, fetches and seals.

    Each release ends with an outcome on the record, even if the client disconnects.
    """

    def __init__(
        self, settings: Rules, limits: LimitSettings, graph: Graph, record: Record, clock: Clock, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._graph = graph
        self._record = record
        self._clock = clock
        self._metrics = metrics
        self._limits = Limits.of(settings)
        self._refused = Allowance(clock, limits.refused_releases_per_hour, _HOUR)
        self._running: set[asyncio.Task[Release]] = set()

    async def release(self, visitor: SignedIn, device_id: str, request: ReleaseRequest) -> Release:
        """Release the key of one device to a person. Raises Refused or Unavailable."""
        # The key that is sealed to counts, whatever the proof says of it.
        visitor = replace(visitor, visit=visitor.proven.visit_sealing_to(request.public_key))
        # In lower case before it is cut to the column's length: some letters become two.
        named = clean(device_id.lower(), _ID_LENGTH)
        if wait := self._refused.take(visitor.oid):
            raise await self._limited(visitor, named, wait)
        attempt = _Attempt(visitor, self._graph.budget(), named, str(uuid.uuid4()))
        # A task of its own: a request that is cancelled halfway must not leave an intention without an outcome.
        task = asyncio.create_task(self._attempted(attempt, request))
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait until every release under way has an outcome."""
        while self._running:
            await asyncio.wait(self._running)

    async def _limited(self, visitor: SignedIn, device_id: str, wait: float) -> RequestLimit:
        """Return the refusal of one release too many, and note it, or count it if there are many."""
        limit = RequestLimit("too many releases were refused", retry_after=wait)
        entry = replace(visitor.entry(Event.REFUSED), device_id=device_id)
        try:
            await self._record.refuse(replace(entry, outcome=limit.code, reference=limit.reference))
        except RecordUnavailable as error:
            logs.refusal("not recorded: release.refused", error)
        return limit

    def _ended(self, task: asyncio.Task[Release]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()

    async def _attempted(self, attempt: _Attempt, request: ReleaseRequest) -> Release:
        try:
            release = await self._released(attempt, request)
        except KioskError as error:
            refusal = error
        except Exception as error:
            refusal = KioskError(place_of(error))
        else:
            self._refused.give_back(attempt.visitor.oid)
            self._metrics.release(OK)
            return release
        if not isinstance(refusal, Refused) or isinstance(refusal, _NOT_COUNTED):
            self._refused.give_back(attempt.visitor.oid)
        attempt.budget.label(refusal)
        try:
            await self._note(attempt, refusal)
        except KioskError as error:
            refusal = error
        self._metrics.release(refusal.code)
        raise refusal

    async def _note(self, attempt: _Attempt, refusal: KioskError) -> None:
        if isinstance(refusal, RecordUnavailable) and not attempt.intended:
            return
        entry = replace(attempt.entry(Event.REFUSED), outcome=refusal.code, reference=refusal.reference)
        if attempt.fetched:
            entry = replace(entry, detail=KEY_FETCHED)
        try:
            await self._record.add(entry)
        except SinkUnavailable:
            # The entry is in the record, and the sink gets it from there later.
            raise refusal from None
        except RecordUnavailable:
            logs.refusal(f"not recorded: release {attempt.release_id}", refusal)
            raise

    async def _released(self, attempt: _Attempt, request: ReleaseRequest) -> Release:
        public_key = _public_key(request)
        if refusal := rules.person_refusal(attempt.visitor.caller.person, self._settings):
            raise refusal
        attempt.reason = rules.reason_given(self._settings, request.reason)
        if not guid(attempt.device_id):
            raise DeviceNotFound("no id of a device")
        # The limits apply to the intention below. This check comes first so that without a record nothing calls Graph.
        with self._metrics.stage("record"):
            await self._record.check(attempt.entry(Event.INTENDED))
        with self._metrics.stage("decide"):
            await self._allowed(attempt)
        attempt.intended = True
        with self._metrics.stage("record"):
            await self._record.intend(attempt.entry(Event.INTENDED), self._limits)
        with self._metrics.stage("key"):
            sealed = await self._sealed(attempt, public_key)
        with self._metrics.stage("record"):
            await self._record.add(attempt.entry(Event.DONE))
        logs.event(
            "release.done",
            release=attempt.release_id,
            device=attempt.device_id,
            client_request_id=attempt.budget.client_request_id,
            request_id=attempt.budget.request_id,
        )
        return Release(
            release_id=attempt.release_id,
            device_id=attempt.device_id,
            sealed=sealed,
            deadline=self._clock.utc() + _OPEN,
            warning=key_warning(attempt.device) if attempt.device else None,
            device=described(attempt.device) if attempt.device else None,
        )

    async def _allowed(self, attempt: _Attempt) -> None:
        """Raise the refusal of the first rule that the device breaks.

        Reads the device from Graph now: what a list said before, or what the kiosk says, does not count.
        """
        oid, budget = attempt.visitor.oid, attempt.budget
        attempt.device = device = await self._graph.device(budget, attempt.device_id)
        primary: frozenset[str] | None = None
        if device.user_id in {"", oid}:
            primary = await self._graph.primary_users(budget, device.id)
        case = rules.Case(device, oid, primary, self._settings)
        if refusal := rules.first_refusal(case):
            raise refusal

    async def _sealed(self, attempt: _Attempt, public_key: MLKEM768X25519PublicKey) -> bytes:
        try:
            answer = await self._fetched(attempt)
            attempt.fetched = True
            sealed, usual = seal(answer, public_key, attempt.info())
        except KeyNotEscrowed as error:
            attempt.fetched = False
            raise await self._explained(attempt, error) from None
        if not usual:
            logs.event("key.unusual", logging.WARNING, release=attempt.release_id, device=attempt.device_id)
        return sealed

    async def _fetched(self, attempt: _Attempt) -> bytearray:
        personal = attempt.device is not None and attempt.device.owner == "personal"
        try:
            return await self._graph.key(attempt.budget, attempt.device_id)
        except (GraphRefused, GraphGarbled) as error:
            if personal:
                # Even if our own rule allows personal Macs, Microsoft may withhold the key of one.
                raise DevicePersonal(error.cause) from None
            raise

    async def _explained(self, attempt: _Attempt, missing: KeyNotEscrowed) -> DeviceRefused:
        """Return a more precise reason for a missing key if Graph gives one in time, else ``missing``."""
        device, state = attempt.device, None
        if device is None:
            return missing
        budget = attempt.budget.part(_DIAGNOSIS_SECONDS)
        # Only here, for the one device whose key somebody wants: the list of Macs does without.
        if gone := await self._is_gone(budget, device.id):
            return DeviceNotFound(f"{missing.cause}; {gone}", reference=missing.reference)
        try:
            state = await self._graph.encryption(budget, device.id)
            known = str(state or "no encryption state")
        except KioskError as error:
            known = f"encryption state: {error.cause}"
        cause = f"{missing.cause}; {known}; isEncrypted={device.encrypted}"
        return why_no_key(device, state)(cause, reference=missing.reference)

    async def _is_gone(self, budget: CallBudget, device_id: str) -> str:
        """Return how Graph says that it no longer has a device, "" if it does not: it was there when it was ruled on.

        Graph answers 404 for the key of a device that was just removed, as it does where no key is stored.
        """
        try:
            await self._graph.device(budget, device_id)
        except DeviceNotFound as error:
            return error.cause
        except KioskError:
            pass
        return ""


def _public_key(request: ReleaseRequest) -> MLKEM768X25519PublicKey:
    try:
        return public_key_from_bytes(request.public_key)
    except ValueError as error:
        raise RequestInvalid(f"public_key: {error}") from None
