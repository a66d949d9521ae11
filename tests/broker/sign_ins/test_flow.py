"""A whole sign-in on the phone over HTTP: between a kiosk, a sign-in page and a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.sign_in_messages import Stage
from tests.broker.conftest import Start
from tests.support.broker import RunningBroker
from tests.support.sandbox import RunningSandbox
from tests.support.sign_ins import AtTheKiosk, AtThePage, Entra, at_the_page, web


@pytest.fixture
def entra(sandbox: RunningSandbox) -> Entra:
    return Entra(sandbox)


@pytest.fixture
def broker(start: Start, place: Path) -> Iterator[RunningBroker]:
    with start(sign_in=web(place)) as running:
        yield running


@pytest.fixture
def page(broker: RunningBroker) -> Iterator[AtThePage]:
    assert broker.config.sign_in.page_listen
    with at_the_page(broker.config.sign_in.page_listen) as page:
        yield page


def test_the_right_digits_bring_a_token_that_serves_this_visit(
    broker: RunningBroker, page: AtThePage, entra: Entra, sandbox: RunningSandbox
) -> None:
    kiosk = AtTheKiosk(broker.http)
    begun = kiosk.begin()
    assert begun.view.stage is Stage.WAITING
    assert begun.view.scan.startswith("HTTPS://GO.EXAMPLE/")
    opened = page.open(begun.view.typed)
    assert (opened.language, opened.place, opened.terminal) == ("de", "Building 7", "desk7 tty1")
    assert begun.words in opened.choices
    assert kiosk.view().stage is Stage.OPENED
    assert page.choose(begun.words).stage is Stage.SIGNING_IN
    shown = page.hand_over(entra.id_token("ada"), entra.access_token("ada"))
    assert (shown.stage, shown.name) == (Stage.CONFIRMING, sandbox.person("ada").name)
    assert kiosk.view().name == shown.name
    token = kiosk.token(kiosk.confirm(shown.digits))
    assert page.view().stage is Stage.CONFIRMED
    answer = broker.release(token, sandbox.device("NW-AKESSLER-14").id, keys=kiosk.keys)
    assert not answer.code
    confirmed, *_ = broker.rows("sign_in")
    assert confirmed["event"] == "sign_in.confirmed"
    assert confirmed["address"] == sandbox.person("ada").address
    assert confirmed["detail"].startswith("method=web page=user_")
