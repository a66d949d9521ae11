"""What the broker does for sign-ins on the phone: the operations of kiosks, and those of the sign-in page."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from kiosk.broker import logs
from kiosk.broker.allowance import Allowance
from kiosk.broker.metrics import OK, Metrics
from kiosk.broker.record.schema import Entry, Event, kiosk_of
from kiosk.broker.record.writer import Record
from kiosk.broker.sign_ins import entries
from kiosk.broker.sign_ins.id_tokens import PhoneTokens
from kiosk.broker.sign_ins.links import code_of
from kiosk.broker.sign_ins.parties import Parties
from kiosk.broker.sign_ins.sign_in import CHOOSING, SECONDS, SignedInOnPhone, SignIn, new_phone
from kiosk.broker.sign_ins.store import SignInStore
from kiosk.broker.tokens.proofs import Proofs
from kiosk.broker.visitor import AtKiosk, AtPage
from kiosk.clock import Clock
from kiosk.errors import (
    BY_CODE,
    DigitsWrong,
    KioskError,
    PhoneCancelled,
    PhoneLinkUnknown,
    PhoneNonceWrong,
    PhoneNotMe,
    PhoneSignInError,
    PhoneSignInUnknown,
    PhoneTokensRefused,
    RecordUnavailable,
    RequestInvalid,
    RequestLimit,
    SignInError,
    SignInLimit,
    SignInMethodOff,
    SignInPageDown,
    TokenBound,
)
from kiosk.net.peer import Peer
from kiosk.secret import SUITE, overwrite, public_key_from_bytes, sign_in_info
from kiosk.sign_in_messages import (
    BeginSignIn,
    ChooseWords,
    Confirm,
    Confirmed,
    EndAtPhone,
    EndedAt,
    HandOver,
    OpenLink,
    PhoneRequest,
    PhoneView,
    SignInBegun,
    SignInView,
    Stage,
)
from kiosk.text import clean

# A page reports every ten seconds.
PAGE_SECONDS = 60.0
_SWEEP_SECONDS = 5.0
_LONGEST = sum(SECONDS.values())
# Afterwards a used link is unknown.
_LINK_SECONDS = SECONDS[Stage.WAITING] + SECONDS[Stage.OPENED]
# Until no sign-in is under way any more for which an id token with this nonce is fresh enough.
_NONCE_SECONDS = 2 * _LONGEST
_SHORTEST_NONCE = 16
_HOUR = 3600.0
# Of each visit. A kiosk asks once a second.
_AT_ONCE, _FILL_SECONDS = 30, 6.0
_LONGEST_LANGUAGE, _LONGEST_PLACE, _LONGEST_SUPPORT = 16, 200, 40
_PAGE = "page"

_Result = TypeVar("_Result")
_Work: TypeAlias = Callable[[SignIn, float], _Result]


@dataclass(frozen=True)
class SignInSettings:
    """``page`` is the address of the sign-in page, None if people do not sign in there; ``per_hour`` is for a kiosk."""

    page: str | None
    per_hour: int


class SignIns:
    """The sign-ins of a broker. Methods raise PhoneSignInError, Refused and Unavailable."""

    def __init__(
        self,
        settings: SignInSettings,
        parties: Parties,
        tokens: PhoneTokens,
        store: SignInStore,
        record: Record,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.parties = parties
        # Apart from those of people with tokens: nobody without one can use up their window.
        self.proofs = Proofs(clock)
        self._settings = settings
        self._tokens = tokens
        self._store = store
        self._record = record
        self._clock = clock
        self._metrics = metrics
        self._started = clock.now()
        self._per_kiosk = Allowance(clock, settings.per_hour, _HOUR)
        self._requests = Allowance(clock, _AT_ONCE, _FILL_SECONDS)

    async def expect_kiosk(self, peer: Peer) -> None:
        """Check that a request may come from a kiosk. Records a refusal. Raises KioskNotKnown."""
        try:
            self.parties.expect_kiosk(peer)
        except PhoneSignInError as error:
            raise await self._noted(error, entries.of_stranger(peer)) from None

    async def expect_page(self, peer: Peer) -> None:
        """Check that a request comes from the sign-in page. Records a refusal. Raises SignInPageNotKnown."""
        try:
            self.parties.expect_page(peer)
        except PhoneSignInError as error:
            raise await self._noted(error, entries.of_stranger(peer)) from None

    async def begin(self, visitor: AtKiosk, asked: BeginSignIn) -> SignInBegun:
        """Begin a sign-in for a visit. The one before at the same terminal ends."""
        try:
            begun = await self._begun(visitor, asked)
        except PhoneSignInError as error:
            raise await self._noted(error, visitor.entry(Event.SIGN_IN_REFUSED)) from None
        before = await self._store.lead(f"terminal {visitor.owner} {visitor.terminal}", begun.id, _LONGEST)
        if before:
            with contextlib.suppress(PhoneSignInUnknown):
                await self._change(before, SignIn.cancel)
        self._metrics.sign_in_begun()
        logs.event("sign_in.begun")
        return begun

    async def _begun(self, visitor: AtKiosk, asked: BeginSignIn) -> SignInBegun:
        page = await self._page_that_works()
        if visitor.proven.visit_sealing_to(asked.public_key) != visitor.visit:
            raise RequestInvalid("public_key: not the one that the proof names")
        if wait := self._per_kiosk.take(kiosk_of(visitor.terminal)):
            raise SignInLimit("too many sign-ins at one kiosk", retry_after=wait)
        try:
            public_key_from_bytes(asked.public_key)
        except ValueError as error:
            raise RequestInvalid(f"public_key: {error}") from None
        self.proofs.use(visitor.proven)
        now = self._store.now()
        sign_in = SignIn.begin(
            visit=visitor.visit,
            public_key=asked.public_key,
            terminal=visitor.terminal,
            language=clean(asked.language, _LONGEST_LANGUAGE),
            place=clean(asked.place, _LONGEST_PLACE),
            now=now,
            begun_at=self._clock.utc().timestamp(),
        )
        await self._store.add(sign_in, [f"link {code}" for code in sign_in.codes], _LINK_SECONDS)
        return SignInBegun(id=sign_in.id, words=sign_in.words, view=sign_in.for_kiosk(page, now))

    async def view(self, visitor: AtKiosk, sign_in_id: str) -> SignInView:
        """Return how far a sign-in of this visit is."""
        page = self._page()
        return await self._of_visit(visitor, sign_in_id, lambda one, now: one.for_kiosk(page, now))

    async def confirm(self, visitor: AtKiosk, sign_in_id: str, asked: Confirm) -> Confirmed:
        """Return the access token, sealed to the visit, if these are the digits. The record then binds it to the visit.

        An answer that was lost can be asked for again for a short time.
        """

        def attempt(one: SignIn, now: float) -> tuple[SignedInOnPhone, Entry]:
            person = one.try_digits(asked.digits, now)
            return person, entries.confirmation(one, person, self._store.now() - one.begun)

        try:
            person, entry = await self._of_visit(visitor, sign_in_id, attempt)
        except DigitsWrong as error:
            raise await self._noted(error, visitor.entry(Event.SIGN_IN_REFUSED)) from None
        try:
            await self._record.append_confirmation(entry)
        except TokenBound as error:
            refused = replace(entry, event=Event.SIGN_IN_REFUSED, uti="", outcome=error.code, reference=error.reference)
            await self._note(refused)
            refusal = PhoneTokensRefused("the access token serves another visit")
            with contextlib.suppress(PhoneSignInUnknown):
                await self._change(sign_in_id, lambda one, now: one.end(refusal, now))
            raise
        if await self._change(sign_in_id, SignIn.confirm):
            self._metrics.sign_in_ended(OK)
            logs.event("sign_in.confirmed")
        return Confirmed(sealed=person.sealed)

    async def cancel(self, visitor: AtKiosk, sign_in_id: str) -> None:
        """End a sign-in of this visit."""
        await self._of_visit(visitor, sign_in_id, SignIn.cancel)

    async def alive(self) -> None:
        """Note that the sign-in page works."""
        await self._store.lead(_PAGE, _PAGE, PAGE_SECONDS)

    async def open(self, visitor: AtPage, asked: OpenLink) -> PhoneView:
        """Open a link for a phone. Raises PhoneLinkUnknown or PhoneLinkUsed."""
        code, phone, address = code_of(asked.link), new_phone(), clean(asked.phone_address)
        terminal = ""

        def open_link(one: SignIn, now: float) -> PhoneView:
            nonlocal terminal
            terminal = one.terminal
            one.open(code, phone, address, visitor.page, now)
            return one.for_phone(phone, now)

        try:
            if not (code and (sign_in_id := await self._store.find(f"link {code}"))):
                raise PhoneLinkUnknown("no sign-in has it")
            return await self._change(sign_in_id, open_link)
        except PhoneSignInError as error:
            refusal = PhoneLinkUnknown("its sign-in is forgotten") if isinstance(error, PhoneSignInUnknown) else error
        entry = Entry(Event.SIGN_IN_REFUSED, terminal=terminal, detail=f"phone={address}")
        raise await self._noted(refusal, entry)

    async def words(self, asked: ChooseWords) -> PhoneView:
        """Take the answer to which words are on the kiosk's screen, and the nonce for the id token."""
        if asked.words is not None and len(asked.nonce) < _SHORTEST_NONCE:
            raise RequestInvalid(f"a nonce of {len(asked.nonce)} characters")
        # Nothing is remembered for somebody who has not opened a link.
        view = await self.phone(asked)
        ours = view.stage not in CHOOSING or asked.words is None
        ours = ours or await self._store.claim(f"nonce {asked.nonce}", asked.id, _NONCE_SECONDS)

        def answer(one: SignIn, now: float) -> PhoneView:
            if ours:
                one.answer(asked.words, asked.nonce, now)
            else:
                one.end(PhoneNonceWrong("the nonce of another sign-in"), now)
            return one.for_phone(asked.phone, now)

        return await self._of_phone(asked, answer)

    async def tokens(self, asked: HandOver) -> PhoneView:
        """Take what Entra ID gave to the page, and return the digits if this person signed in here and now."""
        nonce, begun_at, public_key = await self._of_phone(
            asked, lambda one, _now: (one.nonce, one.begun_at, one.public_key)
        )
        if not nonce:
            return await self.phone(asked)
        person: SignedInOnPhone | None = None
        refusal: KioskError | None
        try:
            found = await self._tokens.accept(asked.id_token, asked.access_token, nonce=nonce, begun_at=begun_at)
        except PhoneSignInError as error:
            refusal = error
        else:
            refusal = found.refusal
            # Sealed at once: the broker keeps nothing that anybody but the visit could use.
            token = asked.access_token.encode()
            sealed = SUITE.encrypt(token, public_key_from_bytes(public_key), info=sign_in_info(asked.id))
            overwrite(token)
            person = SignedInOnPhone(found.caller, sealed, found.acrs, found.amr)

        def take(one: SignIn, now: float) -> PhoneView:
            one.take(person, refusal, nonce, now)
            return one.for_phone(asked.phone, now)

        return await self._of_phone(asked, take)

    async def phone(self, asked: PhoneRequest) -> PhoneView:
        """Return what the page shows on this phone."""
        return await self._of_phone(asked, lambda one, now: one.for_phone(asked.phone, now))

    async def end(self, asked: EndAtPhone) -> PhoneView:
        """End a sign-in for the phone."""
        error = _ending(asked)

        def end(one: SignIn, now: float) -> PhoneView:
            if not one.is_over:
                one.support, one.said_by = clean(asked.support, _LONGEST_SUPPORT), _PAGE
            one.end(error, now)
            return one.for_phone(asked.phone, now)

        return await self._of_phone(asked, end)

    async def sweep(self) -> None:
        """End sign-ins whose time is over, although nobody asks for them, and forget old ones."""
        for sign_in_id in await self._store.due():
            with contextlib.suppress(PhoneSignInUnknown):
                await self._change(sign_in_id, lambda _one, _now: None)

    async def keep_sweeping(self) -> None:
        """Sweep every few seconds until cancelled."""
        while True:
            await self._clock.sleep(_SWEEP_SECONDS)
            try:
                await self.sweep()
            except RecordUnavailable as error:
                logs.LOG.warning("sign-ins that are over could not be removed: %s", error.cause)

    async def close(self) -> None:
        await self._store.close()

    def _page(self) -> str:
        if self._settings.page is None:
            raise SignInMethodOff("sign_in.method is not web")
        return self._settings.page

    async def _page_that_works(self) -> str:
        """Return the address of the sign-in page. Raises SignInMethodOff or SignInPageDown."""
        page = self._page()
        new = self._clock.now() < self._started + PAGE_SECONDS
        if not new and not await self._store.find(_PAGE):
            raise SignInPageDown(f"not a word from it for {PAGE_SECONDS:g} s")
        return page

    async def _of_visit(self, visitor: AtKiosk, sign_in_id: str, work: _Work[_Result]) -> _Result:
        """Work on a sign-in for the visit that began it."""
        self._page()
        if wait := self._requests.take(visitor.visit):
            raise RequestLimit("too many requests for one sign-in", retry_after=wait)
        ours = False

        def checked(one: SignIn, now: float) -> _Result:
            nonlocal ours
            one.expect_visit(visitor.visit)
            ours = True
            return work(one, now)

        try:
            return await self._change(sign_in_id, checked)
        finally:
            # Not in the work, which a store may do in another thread; and nobody without a sign-in fills the memory.
            if ours:
                self.proofs.use(visitor.proven)

    async def _of_phone(self, asked: PhoneRequest, work: _Work[_Result]) -> _Result:
        """Work on a sign-in for the phone that opened it."""

        def checked(one: SignIn, now: float) -> _Result:
            one.expect_phone(asked.phone)
            return work(one, now)

        return await self._change(asked.id, checked)

    async def _change(self, sign_in_id: str, work: _Work[_Result]) -> _Result:
        """Work on a sign-in, after ending it if its time is over. Records how it ended, if it did."""
        ended: list[Entry] = []

        def whole(one: SignIn) -> _Result:
            now, before = self._store.now(), one.stage
            try:
                one.settle(now)
                return work(one, now)
            finally:
                if one.stage is Stage.ENDED and before is not Stage.ENDED:
                    ended.append(entries.refusal(one, before))

        try:
            return await self._store.change(sign_in_id, whole)
        finally:
            for entry in ended:
                self._metrics.sign_in_ended(entry.outcome)
                if await self._note(entry):
                    code, reference = entry.outcome, entry.reference
                    logs.event("sign_in.ended", code=code, reference=reference, terminal=entry.terminal)

    async def _noted(self, error: PhoneSignInError, entry: Entry) -> PhoneSignInError:
        """Record a step that was refused, and return the error. The log gets only the number if there were many."""
        error.counted = not await self._note(replace(entry, outcome=error.code, reference=error.reference))
        return error

    async def _note(self, entry: Entry) -> bool:
        """Record a refusal, or only count it if there were many. Returns whether it belongs into the log."""
        try:
            return await self._record.refuse(entry)
        except RecordUnavailable as error:
            # The refusal is the same: both sides learn why, and the operator that it is missing from the record.
            logs.refusal(f"not recorded: {entry.event} {entry.outcome}", error)
            return True


def _ending(asked: EndAtPhone) -> KioskError:
    """Return the error for why a phone ends a sign-in. The page may name one that it alone can know.

    What the broker or the kiosk decides, only they put on the record.
    """
    if asked.how is EndedAt.NOT_ME:
        return PhoneNotMe("on the phone")
    if asked.how is EndedAt.CANCELLED:
        return PhoneCancelled("on the phone")
    named = BY_CODE.get(asked.code, PhoneSignInError)
    at_page = named is PhoneNonceWrong or not issubclass(named, PhoneSignInError)
    known = issubclass(named, SignInError) and at_page
    return (named if known else PhoneSignInError)(f"the page says: {asked.how}")
