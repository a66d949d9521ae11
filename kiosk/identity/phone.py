"""Signs people in on their phone: asks the broker each second how far the sign-in is, and opens the token it sealed."""

from __future__ import annotations

import contextlib
from typing import Protocol

from kiosk import i18n
from kiosk.clock import Clock, Deadline
from kiosk.errors import BrokerGarbled, BrokerUntrusted, KioskError, SignInError, from_code
from kiosk.identity.address import fault_of
from kiosk.net.http import can_be_sent
from kiosk.secret import VisitKeys, sign_in_info, zero
from kiosk.sign_in_messages import BeginSignIn, Confirm, SignInBegun, SignInView, Stage, WordPair
from kiosk.sign_in_words import WORDS
from kiosk.text import clean

_POLL_SECONDS = 1.0
# After this long without an answer, the person is told.
_SILENT_SECONDS = 6.0
# The broker ends a stage; without an answer the kiosk waits this much longer.
_GRACE_SECONDS = 5.0
_TOO_MANY = 429
_FAILED = 500
_LONGEST_STAGE_SECONDS = 600.0


class SignInBroker(Protocol):
    """What a sign-in asks of the broker. Each request raises KioskError and nothing else."""

    async def begin_sign_in(self, body: BeginSignIn) -> SignInBegun:
        """Begin a sign-in."""

    async def sign_in(self, sign_in_id: str) -> SignInView:
        """Return how far it is. Takes a few seconds at most."""

    async def confirm_sign_in(self, sign_in_id: str, body: Confirm) -> bytes:
        """Return the access token, sealed to this visit."""

    async def cancel_sign_in(self, sign_in_id: str) -> None:
        """End it. Takes a few seconds at most."""


class PhoneSignIn:
    """Implements ``SignIn``, and ``PhoneProgress`` for the UI."""

    # Entra ID's id of the sign-in is known to the page and the broker.
    correlation_id = ""

    def __init__(self, broker: SignInBroker, keys: VisitKeys, clock: Clock, place: str = "") -> None:
        """``place`` says on the phone where this kiosk is."""
        self._broker = broker
        self._keys = keys
        self._clock = clock
        self._place = place
        self._id = ""
        self._token = ""
        self._answered_at = clock.now()
        # Whether the last request got no answer.
        self.unanswered = False
        self.words: WordPair = (0, 0)
        self.view = SignInView(stage=Stage.ENDED, seconds_left=0)
        self.deadline = Deadline.after(clock, 0)

    async def begin(self) -> None:
        """Begin a new sign-in; the broker ends the one before. Raises KioskError."""
        self._id = ""
        asked = BeginSignIn(public_key=self._keys.public_key, language=i18n.language(), place=self._place)
        begun = await self._broker.begin_sign_in(asked)
        if not begun.id or not all(0 <= word < len(WORDS) for word in begun.words):
            raise BrokerGarbled("a sign-in without an id, or with words that do not exist")
        self._id, self.words = begun.id, begun.words
        self._see(begun.view, new=True)

    def answers(self) -> bool:
        """Whether the broker has answered in the last seconds."""
        return self._clock.now() - self._answered_at < _SILENT_SECONDS

    async def past(self, *stages: Stage) -> Stage:
        """Poll until the stage is none of these, and return it. Raises KioskError, such as how the sign-in ended.

        While the broker does not answer, this continues until the stage is over.
        """
        while True:
            if self.view.stage not in stages:
                return self.view.stage
            await self._clock.sleep(_POLL_SECONDS)
            try:
                view = await self._broker.sign_in(self._id)
            except KioskError as error:
                if not _is_passing(error):
                    raise
                self.unanswered = True
                if self._clock.now() > self.deadline.at + _GRACE_SECONDS:
                    raise
            else:
                self._see(view)

    async def confirm(self, digits: bytearray) -> None:
        """Sign in with the digits that the phone shows, and zero them. Raises KioskError, such as DigitsWrong."""
        try:
            body = Confirm(digits=digits.decode("ascii"))
        finally:
            zero(digits)
        sealed = await self._broker.confirm_sign_in(self._id, body)
        with self._keys.open(sealed, sign_in_info(self._id)) as opened:
            token = bytes(opened[place] for place in range(len(opened))).decode("ascii", "replace")
        self._id = ""
        if not can_be_sent(token):
            # Fail here, where the person can sign in again: no request to the broker could be sent with this token.
            raise BrokerGarbled("a token that does not fit a header")
        self._token = token

    @property
    def signed_in(self) -> bool:
        """Whether there is a token."""
        return bool(self._token)

    def authorization(self) -> str:
        """Return the value of the Authorization header for the broker."""
        return f"Bearer {self._token}"

    async def abandon(self) -> None:
        """End the sign-in if it is under way, so that the phone says so."""
        sign_in_id, self._id = self._id, ""
        if sign_in_id:
            with contextlib.suppress(KioskError):
                await self._broker.cancel_sign_in(sign_in_id)

    def forget(self) -> None:
        """Drop the token, the links and the name."""
        self._token = self._id = ""
        self.view = SignInView(stage=Stage.ENDED, seconds_left=0)

    def _see(self, view: SignInView, *, new: bool = False) -> None:
        """Keep an answer of the broker. Raises KioskError if it cannot be shown, or says that the sign-in has ended."""
        self._answered_at, self.unanswered = self._clock.now(), False
        if view.stage is Stage.ENDED:
            self._id = ""
            error = from_code(view.code, cause="the sign-in has ended", reference=clean(view.reference, 40))
            if isinstance(error, SignInError):
                error.support = clean(view.support, 40)
            raise error
        if view.stage is Stage.WAITING and (fault := fault_of(view.scan) or fault_of(view.typed)):
            raise BrokerGarbled(f"the address of the sign-in page {fault}")
        if new or view.stage is not self.view.stage:
            # Only then: later answers would make the countdown jump by the time that they took.
            self.deadline = Deadline.after(self._clock, min(max(view.seconds_left, 0.0), _LONGEST_STAGE_SECONDS))
        self.view = view

    def __repr__(self) -> str:
        return "<PhoneSignIn>"


def _is_passing(error: KioskError) -> bool:
    """Whether the next poll may be answered: nothing was wrong with this sign-in."""
    return (error.status >= _FAILED or error.status == _TOO_MANY) and not isinstance(error, BrokerUntrusted)
