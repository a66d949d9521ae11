"""Asks who signs in on the simulated phone of the demo."""

from __future__ import annotations

from collections.abc import Sequence

from kiosk.i18n import _
from kiosk.linear.choosing import choose
from kiosk.linear.talk import Talk
from kiosk.visit.demo_phone import DemoPerson, DemoPhone


async def who_signs_in(talk: Talk, phone: DemoPhone) -> str:
    """Return the object id of the chosen person, or an empty string."""
    talk.page.turn()
    person = await choose(
        talk,
        list(await phone.people()),
        prompt=_("Who is signing in? Number or name: "),
        describe=lambda person: f"{person.name}, {person.description}",
        narrow=_people,
        nothing=_("Nobody has that name."),
    )
    return person.oid if person else ""


def _people(people: Sequence[DemoPerson], typed: str) -> Sequence[DemoPerson]:
    words = typed.casefold()
    return [person for person in people if words in f"{person.name} {person.address}".casefold()]
