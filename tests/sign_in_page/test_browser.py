"""A real browser walks the whole sign-in: page, broker and sandbox as they are. axe finds nothing on any page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from kiosk.config.broker import BrokerConfig
from kiosk.config.loading import load
from kiosk.errors import PhoneLinkUsed, PhoneNotMe
from kiosk.i18n import translations
from tests.support.broker import broker_process, wait_for
from tests.support.browser import CHROMIUM, Browser, Tab, running_browser
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.sign_ins import AtTheKiosk

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

_DIGITS = re.compile(r"<output data-digits=\"\">(\d{3}) (\d{3})</output>")
# Width, height, dark: the smallest phone that people still have, and a large one.
SMALL, LARGE = (320, 568, False), (412, 915, True)


@dataclass
class World:
    """Everything that a sign-in needs, running."""

    browser: Browser
    kiosk: AtTheKiosk
    sandbox: RunningSandbox


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place = tmp_path_factory.mktemp("world")
    with running_sandbox(place / "sandbox", sign_in={"method": "web"}) as sandbox:
        config = load(sandbox.directory / "broker.toml", BrokerConfig)
        command = [sys.executable, "-m", "kiosk", "sign-in", "--until-stdin-closes", "--config"]
        with (
            broker_process(config, place) as broker,
            subprocess.Popen(
                [*command, str(sandbox.directory / "sign-in.toml")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={"PATH": os.environ["PATH"]},
            ) as page,
            running_browser(place / "browser") as browser,
        ):
            assert page.stdout
            assert page.stdout.readline() == b"ready\n"
            kiosk = AtTheKiosk(broker.http)
            wait_for(lambda: kiosk.try_to_begin().status_code == 200)
            yield World(browser, kiosk, sandbox)
            page.communicate(timeout=30)


def sound(tab: Tab, heading: str, language: str) -> None:
    """Check that this page is shown, in this language, and is one for everybody."""
    shown = tab.evaluate("[document.querySelector('h1').innerText, document.documentElement.lang]")
    words = translations(language).gettext(heading).format(place="desk 7, by the lift")
    assert shown == [words, language]
    assert tab.axe() == []
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Large targets, also for a thumb.
    heights = "[...document.querySelectorAll('button, a.button, input:not([type=hidden])')].map(e => e.offsetHeight)"
    assert all(height >= 48 for height in tab.evaluate(heights))
    logged = [event for event in tab.browser.events if event.get("method") == "Log.entryAdded"]
    # What the policy of the page blocks; an error page has a status that is also logged.
    assert not [event for event in logged if event["params"]["entry"]["source"] != "network"]


def approve(world: World, tab: Tab, who: str = "ada") -> None:
    """Sign in at the sandbox's Entra ID."""
    tab.tap(f'input[value="{world.sandbox.person(who).oid}"]', leads_on=False)
    tab.tap('button[value="approve"]')


@pytest.mark.parametrize(
    ("size", "language", "scripts"),
    [(SMALL, "de", False), (LARGE, "en", True)],
    ids=["small", "large"],
)
def test_the_whole_sign_in(world: World, size: tuple[int, int, bool], language: str, scripts: bool) -> None:
    kiosk = world.kiosk
    begun = kiosk.begin(language=language, place="desk 7, by the lift")
    width, height, dark = size
    with world.browser.tab(width, height, dark=dark, language=language, scripts=scripts) as tab:
        tab.open(begun.view.typed.rpartition("/")[0] + "/")
        sound(tab, "Sign in at a kiosk", language)
        tab.open(begun.view.scan)
        sound(tab, "Which words are on the screen in front of you?", language)
        tab.reload()
        first, second = begun.words
        tab.tap(f'button[value="{first}-{second}"]')
        tab.loaded()
        approve(world, tab)
        sound(tab, "Type these digits at the kiosk", language)
        found = _DIGITS.search(tab.html)
        assert found
        assert kiosk.token(kiosk.confirm(found[1] + found[2]))
        if scripts:
            tab.loaded()
        else:
            tab.reload()
        sound(tab, "You are signed in at {place}", language)


def test_errors_and_the_way_back_from_entra(world: World) -> None:
    begun = world.kiosk.begin(language="en", place="desk 7")
    with world.browser.tab(*SMALL[:2], dark=True) as tab, world.browser.tab(*SMALL[:2]) as other:
        tab.open(begun.view.scan)
        other.open(begun.view.typed)
        sound(other, str(PhoneLinkUsed.title), "en")
        other.open(begun.view.typed[:-4])
        sound(other, "Sign in at a kiosk", "en")
        first, second = begun.words
        tab.tap(f'button[value="{first}-{second}"]')
        tab.loaded()
        tab.open(begun.view.typed.rpartition("/")[0] + "/sign-in")
        sound(tab, "Sign in with your work account", "en")
        tab.tap("a.button")
        approve(world, tab)
        tab.tap('button[data-answer="not-me"]')
        sound(tab, str(PhoneNotMe.title), "en")
    assert world.kiosk.view().code == "phone_not_me"
