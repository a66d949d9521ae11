"""Two brokers on one PostgreSQL database: each step of a sign-in may be at another one."""

from __future__ import annotations

import contextlib
from pathlib import Path

from kiosk.broker.record.checkpoints import Signer
from kiosk.sign_in_messages import Stage
from tests.support.broker import broker_config, running_broker
from tests.support.sandbox import RunningSandbox
from tests.support.sign_ins import AtTheKiosk, AtThePage, Entra, at_the_page, web


def test_one_broker_begins_and_the_other_confirms(
    sandbox: RunningSandbox, place: Path, postgresql_database: str
) -> None:
    Signer.load(place / "record.key", make=True)
    with contextlib.ExitStack() as stack:
        brokers, pages = [], []
        for name in "ab":
            folder = place / name
            folder.mkdir()
            record = {
                "database": postgresql_database, "signing_key": place / "record.key", "seen_file": str(folder / "seen"),
            }  # fmt: skip
            config = broker_config(sandbox.directory, folder, record=record, sign_in=web(folder))
            brokers.append(stack.enter_context(running_broker(config)))
            assert config.sign_in.page_listen
            pages.append(stack.enter_context(at_the_page(config.sign_in.page_listen)))
        one, other = brokers
        entra = Entra(sandbox, one.config.tokens.client)
        kiosk = AtTheKiosk(one.http)
        begun = kiosk.begin()
        phone = AtThePage(pages[1].http)
        phone.open(begun.view.scan)
        assert kiosk.view().stage is Stage.OPENED
        phone.http = pages[0].http
        phone.choose(begun.words)
        phone.http = pages[1].http
        shown = phone.hand_over(entra.id_token("ada", phone.nonce), entra.access_token("ada"))
        kiosk.http = other.http
        assert kiosk.view().stage is Stage.CONFIRMING
        wrong = f"{(int(shown.digits) + 1) % 10**6:06}"
        assert [kiosk.confirm(wrong).status_code for _ in range(2)] == [422, 422]
        kiosk.http = one.http
        token = kiosk.token(kiosk.confirm(shown.digits))
        assert other.ask("GET", "/v1/session", token, keys=kiosk.keys).status_code == 200
        phone.http = pages[0].http
        assert phone.view().stage is Stage.CONFIRMED
        # A nonce that was used at one broker is used at all.
        again = AtTheKiosk(other.http, "desk8 tty1")
        begun, victim = again.begin(), AtThePage(pages[0].http)
        victim.open(begun.view.typed)
        assert victim.choose(begun.words, phone.nonce).code == "phone_nonce_wrong"
