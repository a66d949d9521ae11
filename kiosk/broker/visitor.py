"""Who asks and from where, in the form in which entries of the record begin."""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.tokens.validation import Caller
from kiosk.text import clean

_LONGEST_ROLES = 200


@dataclass(frozen=True)
class Visitor:
    """A caller, if a token proved one, at a terminal.

    ``key`` is the fingerprint of the visit's public key, if the request named one.
    """

    caller: Caller | None
    terminal: str
    key: str = ""

    def entry(self, event: Event) -> Entry:
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
