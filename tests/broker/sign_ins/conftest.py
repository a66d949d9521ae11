"""Brokers on which people sign in on their phone, with the sign-in page beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kiosk.clock import SystemClock, ThreadClock
from kiosk.sign_in_messages import PhoneView
from tests.broker.conftest import Start
from tests.support.broker import RunningBroker
from tests.support.sandbox import RunningSandbox
from tests.support.sign_ins import AtTheKiosk, AtThePage, Entra, at_the_page, connected, web


@dataclass
class Parties:
    """Everybody who takes part in a sign-in."""

    broker: RunningBroker
    kiosk: AtTheKiosk
    page: AtThePage
    entra: Entra

    def other_kiosk(self, terminal: str = "desk8 tty1") -> AtTheKiosk:
        """Return another visit at the same broker."""
        return AtTheKiosk(self.broker.http, terminal, clock=self.kiosk.clock)

    @contextlib.contextmanager
    def other_connection(self) -> Iterator[AtTheKiosk]:
        """Connect as the same visit once more, for requests at the same time."""
        with connected(self.broker.config.listen.url) as http:
            yield replace(self.kiosk, http=http)

    def other_phone(self) -> AtThePage:
        """Return the page for another phone."""
        return AtThePage(self.page.http)

    def until_signing_in(self) -> PhoneView:
        """Walk up to Entra ID."""
        begun = self.kiosk.begin()
        self.page.open(begun.view.scan)
        return self.page.choose(begun.words)

    def until_digits(self, person: str = "ada", **claims: Any) -> PhoneView:
        """Walk up to the digits, which the view has."""
        self.until_signing_in()
        return self.hand_over(person, **claims)

    def hand_over(self, person: str = "ada", **claims: Any) -> PhoneView:
        claims = {"nonce": self.page.nonce} | claims
        return self.page.hand_over(self.entra.id_token(person, **claims), self.entra.access_token(person))

    def rows(self) -> list[tuple[str, str]]:
        """Return event and outcome of the rows about sign-ins."""
        return [(row["event"], row["outcome"]) for row in self.broker.rows("sign_in")]


Meet = Callable[..., contextlib.AbstractContextManager[Parties]]


@pytest.fixture
def meet(start: Start, sandbox: RunningSandbox, place: Path) -> Meet:
    """Return a function that starts a broker and brings the parties together."""

    @contextlib.contextmanager
    def meet(
        clock: ThreadClock | None = None, sign_in: dict[str, Any] | None = None, **tables: Any
    ) -> Iterator[Parties]:
        clock = clock or SystemClock()
        with start(clock, sign_in=web(place, **(sign_in or {})), **tables) as broker:
            assert broker.config.sign_in.page_listen
            with at_the_page(broker.config.sign_in.page_listen) as page:
                yield Parties(
                    broker,
                    AtTheKiosk(broker.http, clock=clock),
                    page,
                    Entra(sandbox, broker.config.tokens.client, clock),
                )

    return meet


@pytest.fixture
def parties(meet: Meet) -> Iterator[Parties]:
    with meet() as parties:
        yield parties
