"""Who sends a request, and from which terminal."""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.tokens.validation import Caller
from kiosk.text import clean

_LONGEST_ROLES = 200


@dataclass(frozen=True)
class Visitor:
    """Somebody at a terminal; ``caller`` is None unless a token proved who it is.

    ``key`` is the fingerprint of the visit's public key, if the request named one.
    """

    caller: Caller | None
    terminal: str
    key: str = ""

    def entry(self, event: Event) -> Entry:
        """Return an entry for the record, with what is known of the visitor."""
        if self.caller is None:
            return Entry(event, terminal=self.terminal, visit_key=self.key)
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
            visit_key=self.key,
        )


@dataclass(frozen=True)
class SignedIn(Visitor):
    """A visitor whose token was accepted."""

    caller: Caller
    key: str = ""

    @property
    def oid(self) -> str:
        return self.caller.person.oid

    @property
    def tid(self) -> str:
        return self.caller.person.tid
