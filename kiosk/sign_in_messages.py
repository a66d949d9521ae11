"""Defines the messages of the sign-in on a phone: between kiosk and broker, and between sign-in page and broker.

``docs/sign-in.md`` describes the flow. Links, digits and tokens are secret, so no message with one has a ``repr``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeAlias

from msgspec import Meta

from kiosk.models import Message

# Numbers of two words in ``sign_in_words.WORDS``.
WordPair: TypeAlias = tuple[int, int]

DIGITS = 6
MOST_TRIES = 3
# Of codes in links: no vowels, so that they spell nothing, and no characters that are easily confused.
LINK_ALPHABET = "23456789BCDFGHJKMNPQRTVWXZ"
LINK_LENGTH = 8


class Secretive(Message, frozen=True, kw_only=True):
    """Base of messages with a secret: their ``repr`` shows none of their fields."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Stage(StrEnum):
    """How far a sign-in is."""

    # Nobody has opened the link.
    WAITING = "waiting"
    # A phone has opened it, and the page asks for the words.
    OPENED = "opened"
    # The words were right, and the person signs in at Entra ID.
    SIGNING_IN = "signing_in"
    # The person has signed in, and the phone shows the digits.
    CONFIRMING = "confirming"
    # The right digits were typed.
    CONFIRMED = "confirmed"
    ENDED = "ended"


class BeginSignIn(Message, frozen=True, kw_only=True):
    """Body of ``POST /v1/sign-ins``. The access token will be sealed to ``public_key``, raw as in a release.

    ``language`` is the visit's. ``place`` says where the kiosk is, in the operator's words.
    """

    public_key: bytes
    language: str = ""
    place: Annotated[str, Meta(max_length=200)] = ""


class SignInView(Secretive, frozen=True, kw_only=True):
    """Answer of ``GET /v1/sign-ins/{id}``: what the kiosk shows.

    ``scan`` is the address for the QR code, whose code changes, and ``typed`` the one for people who type it; both are
    empty unless the stage is ``waiting``. The stage ends after ``seconds_left``. ``name`` and ``address`` are those of
    the person who signed in, from ``confirming`` on. ``code`` is that of the error with which the sign-in ended,
    ``reference`` the one to quote, and ``support`` the number of Entra ID's refusal, such as ``AADSTS53003``.
    """

    stage: Stage
    seconds_left: float
    scan: str = ""
    typed: str = ""
    name: str = ""
    address: str = ""
    code: str = ""
    reference: str = ""
    support: str = ""


class SignInBegun(Secretive, frozen=True, kw_only=True):
    """Answer of ``POST /v1/sign-ins``: the id of the sign-in, the words for the kiosk's screen, and the first view."""

    id: str
    words: WordPair
    view: SignInView


class Confirm(Secretive, frozen=True, kw_only=True):
    """Body of ``POST /v1/sign-ins/{id}/confirm``: the digits that were typed at the kiosk."""

    digits: Annotated[str, Meta(max_length=20)]


class Confirmed(Secretive, frozen=True, kw_only=True):
    """Its answer: the access token, sealed to the public key of the visit (``kiosk.secret.sign_in_info``)."""

    sealed: bytes


class OpenLink(Secretive, frozen=True, kw_only=True):
    """Body of ``POST /v1/page/open``. ``phone_address`` is where the page saw the phone, for the record."""

    link: Annotated[str, Meta(max_length=40)]
    phone_address: Annotated[str, Meta(max_length=64)] = ""


class PhoneView(Secretive, frozen=True, kw_only=True):
    """Answer of all requests for a phone: what the page shows.

    ``id`` and ``phone`` together name the sign-in in further requests; ``phone`` is a secret between this phone and the
    broker. ``choices`` are the pairs of words to choose from while the stage is ``opened``. ``name``, ``address`` and
    ``digits`` are filled from ``confirming`` on. ``code`` and ``reference`` are as in SignInView.
    """

    id: str
    phone: str
    stage: Stage
    seconds_left: float
    language: str = ""
    place: str = ""
    terminal: str = ""
    choices: tuple[WordPair, ...] = ()
    name: str = ""
    address: str = ""
    digits: str = ""
    code: str = ""
    reference: str = ""


class PhoneRequest(Secretive, frozen=True, kw_only=True):
    """Body of ``POST /v1/page/view``; the other requests for a phone have the same fields and more."""

    id: Annotated[str, Meta(max_length=64)]
    phone: Annotated[str, Meta(max_length=64)]


class ChooseWords(PhoneRequest, frozen=True, kw_only=True):
    """Body of ``POST /v1/page/words``. ``words`` is None for "none of these".

    ``nonce`` is what the id token will have to carry.
    """

    words: WordPair | None
    nonce: Annotated[str, Meta(max_length=128)] = ""


class HandOver(PhoneRequest, frozen=True, kw_only=True):
    """Body of ``POST /v1/page/tokens``: what Entra ID gave to the page for this person."""

    id_token: Annotated[str, Meta(max_length=16_384)]
    access_token: Annotated[str, Meta(max_length=16_384)]


class EndedAt(StrEnum):
    """Why a phone ends a sign-in."""

    NOT_ME = "not_me"
    CANCELLED = "cancelled"
    # Entra ID refused the person; ``support`` has its number.
    REFUSED = "refused"
    # The page could not get or use an answer of Entra ID.
    FAILED = "failed"


class EndAtPhone(PhoneRequest, frozen=True, kw_only=True):
    """Body of ``POST /v1/page/end``. ``code`` is that of one of our errors, for the kiosk's screen."""

    how: EndedAt
    code: Annotated[str, Meta(max_length=40)] = ""
    support: Annotated[str, Meta(max_length=40)] = ""
