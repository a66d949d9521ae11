"""Decides what happens in one sign-in: its stages, their times, and what each side may do in them.

Nothing here waits or asks anybody, so a store can run it inside a transaction. Times are those of the store.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import secrets
from dataclasses import dataclass, field, replace

import msgspec

from kiosk.broker.sign_ins.links import new_code, scan_address, typed_address
from kiosk.broker.tokens.validation import Caller
from kiosk.errors import (
    DigitsRefused,
    DigitsWrong,
    KioskCancelled,
    KioskError,
    PhoneLinkUnknown,
    PhoneLinkUsed,
    PhoneNotHere,
    PhoneSignInError,
    PhoneSignInExpired,
    PhoneSignInUnknown,
    PhoneWordsWrong,
    from_code,
)
from kiosk.sign_in_messages import DIGITS, MOST_TRIES, PhoneView, SignInView, Stage, WordPair
from kiosk.sign_in_words import WORDS

SECONDS = {Stage.WAITING: 180.0, Stage.OPENED: 120.0, Stage.SIGNING_IN: 300.0, Stage.CONFIRMING: 90.0}
# A link for the QR code is shown for this long, and good for twice as long.
LINK_SECONDS = 30.0
# Long enough for both sides to ask how it ended, and for a kiosk to confirm again that got no answer.
KEPT_SECONDS = 60.0
_LINKS = round(SECONDS[Stage.WAITING] / LINK_SECONDS)
# In which the words can be answered again: somebody goes back in the browser.
CHOOSING = frozenset({Stage.OPENED, Stage.SIGNING_IN})
_OVER = frozenset({Stage.CONFIRMED, Stage.ENDED})
# Each answer may bring another nonce, and these are remembered.
_MOST_ANSWERS = 10
_CHOICES = 3
_random = random.SystemRandom()


@dataclass(frozen=True)
class SignedInOnPhone:
    """Who signed in on the phone, how, and their access token, sealed to the visit."""

    caller: Caller
    sealed: bytes = field(repr=False)
    acrs: tuple[str, ...] = ()
    amr: tuple[str, ...] = ()


class SignIn(msgspec.Struct, kw_only=True):
    """One sign-in. ``until`` is when its stage ends, or when it is forgotten if it is over.

    ``visit`` identifies the visit that began it, ``phone`` is the hash of the secret of the phone that opened it.
    """

    id: str
    visit: str
    public_key: bytes
    terminal: str
    language: str
    place: str
    words: WordPair
    choices: tuple[WordPair, ...]
    scans: tuple[str, ...]
    typed: str
    begun: float
    begun_at: float
    until: float
    stage: Stage = Stage.WAITING
    phone: bytes = b""
    phone_address: str = ""
    page: str = ""
    nonce: str = ""
    answers: int = 0
    person: SignedInOnPhone | None = None
    digits: str = ""
    tries: int = 0
    code: str = ""
    reference: str = ""
    support: str = ""
    said_by: str = ""

    def __repr__(self) -> str:
        return f"<SignIn {self.stage}>"

    @classmethod
    def begin(
        cls, *, visit: str, public_key: bytes, terminal: str, language: str, place: str, now: float, begun_at: float
    ) -> SignIn:
        """Return a new sign-in. ``begun_at`` is the time of day, in seconds since 1970."""
        numbers = _random.sample(range(len(WORDS)), 2 * _CHOICES)
        choices = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        return cls(
            id=secrets.token_urlsafe(16),
            visit=visit,
            public_key=public_key,
            terminal=terminal,
            language=language,
            place=place,
            words=secrets.choice(choices),
            choices=choices,
            scans=tuple(new_code() for _ in range(_LINKS)),
            typed=new_code(),
            begun=now,
            begun_at=begun_at,
            until=now + SECONDS[Stage.WAITING],
        )

    @property
    def is_over(self) -> bool:
        return self.stage in _OVER

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all links that are shown during its life."""
        return (*self.scans, self.typed)

    def seconds_left(self, now: float) -> float:
        return 0.0 if self.is_over else max(0.0, self.until - now)

    def is_forgotten(self, now: float) -> bool:
        return self.is_over and now >= self.until

    def settle(self, now: float) -> None:
        """End the sign-in if the time for its stage is over."""
        if not self.is_over and now >= self.until:
            self.end(PhoneSignInExpired(f"stage={self.stage}"), now)

    def end(self, error: KioskError, now: float) -> None:
        """End with this error, and drop all that is secret, unless the sign-in is over."""
        if self.is_over:
            return
        self.stage, self.code, self.reference = Stage.ENDED, error.code, error.reference
        self.until = now + KEPT_SECONDS
        self.nonce = self.digits = self.typed = ""
        self.scans, self.choices = (), ()
        if self.person:
            self.person = replace(self.person, sealed=b"")

    def expect_visit(self, visit: str) -> None:
        """Check that this visit began the sign-in. Raises PhoneSignInUnknown."""
        if not hmac.compare_digest(self.visit, visit):
            raise PhoneSignInUnknown("of another visit")

    def expect_phone(self, phone: str) -> None:
        """Check that the secret is that of the phone that opened the link. Raises PhoneSignInUnknown."""
        if not self.phone or not hmac.compare_digest(self.phone, _hash(phone)):
            raise PhoneSignInUnknown("of another phone")

    def open(self, code: str, phone: str, address: str, page: str, now: float) -> None:
        """Let a phone open a link, which burns all of them. Raises PhoneLinkUsed or PhoneLinkUnknown."""
        if self.phone:
            raise PhoneLinkUsed(f"opened before, by {self.phone_address or 'a phone'}")
        if self.stage is not Stage.WAITING or code not in self._good_codes(now):
            raise PhoneLinkUnknown("too old, or not shown yet")
        self.phone, self.phone_address, self.page = _hash(phone), address, page
        self._enter(Stage.OPENED, now)

    def answer(self, words: WordPair | None, nonce: str, now: float) -> None:
        """Take the answer of the phone to which words are on the kiosk's screen. Any but the right one ends it."""
        if self.stage not in CHOOSING:
            return
        self.answers += 1
        if words is None:
            self.end(PhoneNotHere("none of these"), now)
        elif words != self.words:
            self.end(PhoneWordsWrong("another pair"), now)
        elif self.answers > _MOST_ANSWERS:
            self.end(PhoneSignInError("the words were answered too often"), now)
        else:
            self.nonce = nonce
            if self.stage is Stage.OPENED:
                self._enter(Stage.SIGNING_IN, now)

    def take(self, person: SignedInOnPhone | None, refusal: KioskError | None, nonce: str, now: float) -> None:
        """Take who signed in with this nonce and make the digits, unless there is a refusal. Only the first counts."""
        if self.stage is not Stage.SIGNING_IN or not hmac.compare_digest(self.nonce, nonce):
            return
        self.person, self.nonce = person, ""
        if refusal:
            self.end(refusal, now)
        else:
            self.digits = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
            self._enter(Stage.CONFIRMING, now)

    def try_digits(self, typed: str, now: float) -> SignedInOnPhone:
        """Return who signed in if these are the digits. Raises the error of the try, or with which the sign-in ended.

        A sign-in that is confirmed can be confirmed again for a short time, because an answer may be lost.
        """
        if self.stage is Stage.ENDED:
            raise self.ending()
        if self.person is None or not self.digits:
            raise PhoneSignInUnknown(f"nothing to confirm: stage={self.stage}")
        typed_digits = "".join(typed.split()).encode("utf-8", "replace")
        if self.tries < MOST_TRIES and hmac.compare_digest(self.digits.encode(), typed_digits):
            return self.person
        self.tries += 1
        if self.tries < MOST_TRIES:
            raise DigitsWrong(f"try {self.tries} of {MOST_TRIES}")
        refusal = DigitsRefused(f"{self.tries} wrong tries")
        self.end(refusal, now)
        raise refusal

    def confirm(self, now: float) -> bool:
        """Note that the right digits were typed and the record says so. Returns whether that is news.

        Raises the error with which the sign-in ended meanwhile.
        """
        if self.stage is Stage.ENDED:
            raise self.ending()
        news = self.stage is Stage.CONFIRMING
        if news:
            self.stage, self.until = Stage.CONFIRMED, now + KEPT_SECONDS
        return news

    def cancel(self, now: float) -> None:
        """End the sign-in for the kiosk."""
        self.end(KioskCancelled("at the kiosk"), now)

    def ending(self) -> KioskError:
        """Return the error with which the sign-in ended."""
        return from_code(self.code, reference=self.reference)

    def for_kiosk(self, page: str, now: float) -> SignInView:
        """Return what the kiosk shows; ``page`` is the address of the sign-in page."""
        waits = self.stage is Stage.WAITING
        name, address = self._person()
        return SignInView(
            stage=self.stage,
            seconds_left=self.seconds_left(now),
            scan=scan_address(page, self._scan(now)) if waits else "",
            typed=typed_address(page, self.typed) if waits else "",
            name=name,
            address=address,
            code=self.code,
            reference=self.reference,
            support=self.support,
        )

    def for_phone(self, phone: str, now: float) -> PhoneView:
        """Return what the sign-in page shows; ``phone`` is the secret of the phone."""
        name, address = self._person()
        return PhoneView(
            id=self.id,
            phone=phone,
            stage=self.stage,
            seconds_left=self.seconds_left(now),
            language=self.language,
            place=self.place,
            terminal=self.terminal,
            choices=self.choices if self.stage is Stage.OPENED else (),
            name=name,
            address=address,
            digits=self.digits if self.stage is Stage.CONFIRMING else "",
            code=self.code,
            reference=self.reference,
        )

    def _person(self) -> tuple[str, str]:
        """Return name and address of the person who signed in, empty if nobody has or the sign-in ended."""
        if self.person is None or self.stage is Stage.ENDED:
            return "", ""
        return self.person.caller.person.name, self.person.caller.person.address

    def _scan(self, now: float) -> str:
        """Return the code for the QR code at this time."""
        return self.scans[min(self._turn(now), _LINKS - 1)]

    def _good_codes(self, now: float) -> tuple[str, ...]:
        """Return the codes that may be opened now: the last two of the QR code, and the one to type."""
        turn = self._turn(now)
        return (*self.scans[max(0, turn - 1) : turn + 1], self.typed)

    def _turn(self, now: float) -> int:
        return int((now - self.begun) / LINK_SECONDS)

    def _enter(self, stage: Stage, now: float) -> None:
        self.stage, self.until = stage, now + SECONDS[stage]


def new_phone() -> str:
    """Return a secret for a phone: 256 random bits."""
    return secrets.token_urlsafe(32)


def _hash(phone: str) -> bytes:
    return hashlib.sha256(phone.encode("utf-8", "replace")).digest()
