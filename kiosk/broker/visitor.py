"""Who sends a request, and from which terminal."""

from __future__ import annotations

from dataclasses import dataclass, field

from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.tokens.proofs import Proven
from kiosk.broker.tokens.validation import Caller
from kiosk.text import clean

_LONGEST_ROLES = 200


@dataclass(frozen=True)
class Visitor:
    """Somebody at a terminal; ``caller`` is None unless a token proved who it is.

    ``visit`` identifies the keys of the visit, if the request proved to have them.
    """

    caller: Caller | None
    terminal: str
    visit: str = ""

    def entry(self, event: Event) -> Entry:
        """Return an entry for the record, with what is known of the visitor."""
        if self.caller is None:
            return Entry(event, terminal=self.terminal, visit_key=self.visit)
        person = self.caller.person
        return Entry(
            event,
            tid=person.tid,
            oid=person.oid,
            name=person.name,
            address=person.address,
            roles=clean(",".join(person.roles), _LONGEST_ROLES),
            uti=self.caller.uti,
            terminal=self.terminal,
            visit_key=self.visit,
        )


@dataclass(frozen=True)
class SignedIn(Visitor):
    """A visitor whose token was accepted, with the proof that came with it."""

    caller: Caller
    proven: Proven = field(kw_only=True)

    @classmethod
    def of(cls, caller: Caller, terminal: str, proven: Proven) -> SignedIn:
        return cls(caller, terminal, proven.visit, proven=proven)

    @property
    def oid(self) -> str:
        return self.caller.person.oid

    @property
    def tid(self) -> str:
        return self.caller.person.tid


@dataclass(frozen=True)
class AtKiosk(Visitor):
    """A visit before anybody has signed in, with the proof that came with the request.

    ``owner`` is whose terminal it is, as far as the connection proves that.
    """

    proven: Proven = field(kw_only=True)
    owner: str = field(kw_only=True)


@dataclass(frozen=True)
class AtPage(Visitor):
    """The sign-in page, which asks for somebody's phone. ``page`` is its name on the record."""

    page: str = field(kw_only=True)
