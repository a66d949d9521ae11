"""What the broker does for a visit. ``routes.py`` serves it over HTTP."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from kiosk import __version__
from kiosk.broker import logs, rules
from kiosk.broker.allowance import Allowance
from kiosk.broker.graph.client import Graph
from kiosk.broker.graph.managed_device import guid
from kiosk.broker.graph.requests import CallBudget
from kiosk.broker.listings import Listings
from kiosk.broker.metrics import Metrics
from kiosk.broker.readiness import Readiness
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.writer import Record
from kiosk.broker.releases import Releases
from kiosk.broker.sign_ins.service import SignIns
from kiosk.broker.tokens.proofs import Proofs
from kiosk.broker.tokens.validation import Caller, Tokens, bearer
from kiosk.broker.visitor import AtKiosk, SignedIn, Visitor
from kiosk.clock import Clock
from kiosk.config.broker import LimitSettings, Rules
from kiosk.errors import (
    KioskError,
    RecordUnavailable,
    Refused,
    ReleaseUnknown,
    RequestLimit,
    TokenRefused,
)
from kiosk.models import Devices, Ending, ReleaseChecked, ReleaseClosed, Session
from kiosk.process.logging import place_of
from kiosk.recovery_key.format import GROUPS
from kiosk.text import clean

# Before somebody is told that they ask too often. Otherwise a loop on a few connections would keep the broker busy with
# handshakes and signatures.
LIMITED_SECONDS = 1.0
_LONGEST_SHOWN = 86_400.0
_LONGEST_PROMPT = 200
# Of which the proof of a request without one has the digest.
_NO_TOKEN = ""


@dataclass(frozen=True)
class Asked:
    """What a request brings to show that it may be served. ``target`` is its path and query as they were sent."""

    method: str
    target: str
    authorization: str | None = field(repr=False)
    proof: str | None = field(repr=False)


class Service:
    """Everything behind the HTTP interface. Methods raise Refused and Unavailable.

    ``sign_ins`` signs people in on their phones, ``releases`` makes the releases.
    """

    def __init__(
        self,
        settings: Rules,
        limits: LimitSettings,
        tokens: Tokens,
        graph: Graph,
        record: Record,
        sign_ins: SignIns,
        clock: Clock,
        metrics: Metrics | None = None,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._proofs = Proofs(clock)
        self._graph = graph
        self._record = record
        self.sign_ins = sign_ins
        self.clock = clock
        self._readiness = Readiness(record, tokens, clock)
        # Set when the broker is about to stop, and others should get the next requests.
        self.draining = False
        self._requests = Allowance(clock, limits.requests_at_once, limits.seconds_to_fill)
        self._listings = Listings(settings, graph, clock, limits.list_seconds)
        self.metrics = metrics or Metrics(clock)
        self.releases = Releases(settings, limits, graph, record, clock, self.metrics)

    async def at_kiosk(self, asked: Asked, terminal: str, owner: str) -> AtKiosk:
        """Return the visit that asks before anybody has signed in. Notes a refused proof on the record.

        Raises TokenRefused.
        """
        async with self._noting_refusals(Visitor(None, terminal)):
            proven = self.sign_ins.proofs.verify(asked.proof, asked.method, asked.target, _NO_TOKEN)
        return AtKiosk(None, terminal, proven.visit, proven=proven, owner=owner)

    async def authenticate(self, asked: Asked, place: str, *, fresh: bool) -> SignedIn:
        """Return who sends a request from this place. Notes a refused token on the record.

        Raises TokenRefused or RequestLimit.
        """
        caller: Caller | None = None
        try:
            token = bearer(asked.authorization)
            claims = await self._tokens.prove(token)
            caller = claims.caller()
            await self._tokens.accept(claims, fresh=fresh)
            proven = self._proofs.verify(asked.proof, asked.method, asked.target, token)
        except TokenRefused as refusal:
            await self._note_refused(Visitor(caller, place), refusal)
            raise
        visitor = SignedIn.of(caller, place, proven)
        if wait := self._requests.take(visitor.oid):
            limit = RequestLimit("too many requests", retry_after=wait)
            await self._note_refused(visitor, limit)
            await self.clock.sleep(LIMITED_SECONDS)
            raise limit
        # Only now: what a person may send is limited, so nobody can fill the memory for proofs.
        self._proofs.use(proven)
        return visitor

    async def expect_body(self, visitor: SignedIn | AtKiosk, body: bytes) -> None:
        """Check that the proof is for this body. Notes it on the record if not. Raises TokenUnproven."""
        async with self._noting_refusals(visitor):
            visitor.proven.expect_body(body)

    async def session(self, visitor: SignedIn) -> Session:
        """Return the person as the token names them, and the rules for them. Binds the token to the visit."""
        try:
            self._let_in(visitor)
            await self._record.append_session(visitor.entry(Event.SESSION_OPENED))
        except RecordUnavailable:
            raise
        except Exception as error:
            refusal = _ours(error)
            entry = visitor.entry(Event.TOKEN_REFUSED if isinstance(refusal, TokenRefused) else Event.SESSION_OPENED)
            await self._record.add(replace(entry, outcome=refusal.code, reference=refusal.reference))
            raise refusal from None
        self.metrics.visits.inc()
        logs.event("session.opened")
        return Session(
            person=visitor.caller.person,
            reason=self._settings.reason,
            version=__version__,
            reason_prompt=clean(self._settings.reason_prompt, _LONGEST_PROMPT) or None,
        )

    async def ended(self, visitor: SignedIn) -> None:
        """Record that the visit is over. From then on every broker on this record refuses its token."""
        async with self._noting_refusals(visitor):
            await self._record.append_session(visitor.entry(Event.SESSION_ENDED))
        logs.event("session.ended")

    async def devices(self, visitor: SignedIn) -> Devices:
        """Return the person's Macs: first those whose key can be released, then the most recently seen."""
        entry = visitor.entry(Event.DEVICES_LISTED)
        try:
            self._let_in(visitor)
            await self._record.check(entry)
            listing = await self._listings.of(visitor.oid)
        except RecordUnavailable:
            raise
        except Exception as error:
            refusal = _ours(error)
            refused = replace(entry, outcome=refusal.code, reference=refusal.reference)
            await self._record.add(_after(refusal, refused))
            raise refusal from None
        await self._record.add(_after(listing.budget, entry))
        macs, client_request_id = len(listing.devices), listing.budget.client_request_id
        logs.event("devices.listed", macs=macs, client_request_id=client_request_id)
        return Devices(devices=listing.devices)

    async def closed(self, visitor: SignedIn, release_id: str, ending: ReleaseClosed) -> None:
        """Record how the reveal of a release ended."""
        if not guid(release_id):
            raise ReleaseUnknown("no id of a release")
        shown_seconds = min(max(ending.shown_seconds, 0.0), _LONGEST_SHOWN)
        entry = replace(visitor.entry(Event.CLOSED), release_id=release_id.lower(), outcome=ending.how)
        async with self._noting_refusals(visitor):
            await self._record.append_closing(replace(entry, shown_seconds=shown_seconds))
        logs.event("release.closed", release=release_id.lower(), how=ending.how)

    async def checked(self, visitor: SignedIn, release_id: str, checked: ReleaseChecked) -> None:
        """Record how the check of a copy of the key went."""
        if not guid(release_id):
            raise ReleaseUnknown("no id of a release")
        entry = replace(visitor.entry(Event.CHECKED), release_id=release_id.lower(), outcome=checked.how)
        async with self._noting_refusals(visitor):
            await self._record.append_closing(replace(entry, detail=f"{checked.groups_right} of {GROUPS} groups right"))

    async def lost(self, visitor: Visitor, release_id: str, ending: ReleaseClosed) -> None:
        """Record that a reveal ended with the process that showed it.

        There is no token to prove who says so, so no other ending is accepted.
        """
        if not guid(release_id) or ending.how not in {Ending.LOST, Ending.CRASHED}:
            raise ReleaseUnknown("no id of a release that can be lost")
        entry = replace(visitor.entry(Event.CLOSED), release_id=release_id.lower(), outcome=ending.how)
        if await self._record.append_loss(entry):
            logs.event("release.closed", release=entry.release_id, how=ending.how)

    async def ready(self) -> None:
        """Return if a release has what it needs here: a record that can be written, and keys to check tokens with.

        Anybody may ask; the answer is a recent one. Raises Unavailable.
        """
        await self._readiness.check()

    def drain(self) -> None:
        """Say from now on that this broker is about to stop. It serves everything until it does."""
        self.draining = True
        logs.event("draining")

    async def close(self) -> None:
        """Finish the releases under way, then close all connections."""
        await self._readiness.close()
        await self.sign_ins.close()
        await self.releases.drain()
        await self._listings.close()
        await self._graph.close()
        await self._tokens.close()

    def _let_in(self, visitor: SignedIn) -> None:
        if refusal := rules.person_refusal(visitor.caller.person, self._settings):
            raise refusal

    @contextlib.asynccontextmanager
    async def _noting_refusals(self, visitor: Visitor) -> AsyncIterator[None]:
        try:
            yield
        except TokenRefused as refusal:
            await self._note_refused(visitor, refusal)
            raise

    async def _note_refused(self, visitor: Visitor, refusal: Refused) -> None:
        entry = replace(visitor.entry(Event.TOKEN_REFUSED), outcome=refusal.code, reference=refusal.reference)
        try:
            refusal.counted = not await self._record.refuse(entry)
        except RecordUnavailable as error:
            # The refusal stands: the person learns why, and the operator that it is missing from the record.
            logs.refusal(f"not recorded: token.refused {refusal.code}", error)


def _ours(error: Exception) -> KioskError:
    """Wrap an unexpected exception as KioskError, so that it gets a reference and an entry on the record."""
    return error if isinstance(error, KioskError) else KioskError(place_of(error))


def _after(last: CallBudget | KioskError, entry: Entry) -> Entry:
    """Return the entry with the ids of the last request to Graph."""
    return replace(entry, client_request_id=last.client_request_id, request_id=last.request_id)
