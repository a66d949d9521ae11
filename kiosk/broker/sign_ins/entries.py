"""Says what the record has of sign-ins on the phone. No secret, and of a refused one no id of a token."""

from __future__ import annotations

from dataclasses import replace

from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.sign_ins.parties import name_of_peer
from kiosk.broker.sign_ins.sign_in import SignedInOnPhone, SignIn
from kiosk.broker.visitor import Visitor
from kiosk.models import SignInMethod
from kiosk.net.peer import Peer
from kiosk.sign_in_messages import Stage


def of_stranger(peer: Peer) -> Entry:
    """Return the entry for a request that was refused because of who sent it."""
    return Entry(Event.SIGN_IN_REFUSED, detail=f"from={name_of_peer(peer)}")


def confirmation(one: SignIn, person: SignedInOnPhone, seconds: float) -> Entry:
    """Return the entry for the right digits: whose token serves this visit from now on, and how they signed in."""
    entry = Visitor(person.caller, one.terminal, one.visit).entry(Event.SIGN_IN_CONFIRMED)
    how = {"acrs": ",".join(person.acrs), "amr": ",".join(person.amr), "seconds": f"{seconds:.0f}"}
    return replace(entry, detail=_detail({"method": SignInMethod.WEB} | _phone(one) | how))


def refusal(one: SignIn, stage: Stage) -> Entry:
    """Return the entry for a sign-in that ended in this stage."""
    entry = Visitor(one.person.caller if one.person else None, one.terminal, one.visit).entry(Event.SIGN_IN_REFUSED)
    # Without the id of the token, which the entry would bind to the visit.
    entry = replace(entry, uti="", outcome=one.code, reference=one.reference)
    return replace(
        entry, detail=_detail({"stage": stage} | _phone(one) | {"support": one.support, "said_by": one.said_by})
    )


def _phone(one: SignIn) -> dict[str, str]:
    # The kiosk chooses the place, and the person on the phone was told it.
    return {"page": one.page, "phone": one.phone_address, "place": one.place}


def _detail(known: dict[str, str]) -> str:
    """Return the pairs that have a value, as in the log."""
    return " ".join(f"{name}={'_'.join(value.split())}" for name, value in known.items() if value)
