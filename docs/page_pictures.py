"""Draws every page of the sign-in for ``docs/sign-in.md`` in a real browser: ``python -m docs.page_pictures``.

The pages are rendered by the running code, with a simulated sign-in, and look the same in every run.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from kiosk.config.sign_in_page import PageOrganisation
from kiosk.errors import PhoneLinkUsed, PhoneWordsWrong
from kiosk.sign_in_messages import PhoneView, Stage
from kiosk.sign_in_page.cookie import State
from kiosk.sign_in_page.pages import Pages
from tests.support.browser import Browser, running_browser

IMAGES = Path(__file__).with_name("images")
STYLE = Path(__file__).parents[1] / "kiosk" / "sign_in_page" / "static" / "page.css"
WIDTH, HEIGHT = 390, 700

_VIEW = PhoneView(
    id="id",
    phone="phone",
    stage=Stage.OPENED,
    seconds_left=118,
    place="desk 7, by the lift",
    terminal="kiosk-7 tty1",
    choices=((3, 20), (41, 12), (55, 30)),
    name="Ada Kessler",
    address="ada.kessler@nordwind.example",
    digits="471093",
    reference="5D20C7A1",
)
_STATE = State(
    id="id", phone="phone", link="", made=0, language="en", form="form", flow={"auth_uri": "https://login.example/"}
)


def pages() -> dict[str, str]:
    """Return the source of each page by the name of its picture."""
    shown = Pages(PageOrganisation(name="Nordwind Analytics", helpdesk="telephone 555 0100, or room 1.07"))

    def of(stage: Stage, language: str = "en", seconds: float = 118) -> str:
        view = msgspec.structs.replace(_VIEW, stage=stage, language=language, seconds_left=seconds)
        return shown.of_stage(view, _STATE)

    return {
        "page-start": shown.start("en"),
        "page-words": of(Stage.OPENED),
        "page-words-dark": of(Stage.OPENED, "de"),
        "page-continue": of(Stage.SIGNING_IN, seconds=290),
        "page-digits": of(Stage.CONFIRMING, seconds=88),
        "page-digits-dark": of(Stage.CONFIRMING, "de", 88),
        "page-done": of(Stage.CONFIRMED),
        "page-used": shown.ended(PhoneLinkUsed(reference="5D20C7A1"), "en"),
        "page-wrong": shown.ended(PhoneWordsWrong(reference="5D20C7A1"), "en"),
    }


def draw(browser: Browser, name: str, source: str) -> bytes:
    """Return the picture of a page."""
    source = source.replace('<link rel="stylesheet" href="/static/page.css">', f"<style>{STYLE.read_text()}</style>")
    with browser.tab(WIDTH, HEIGHT, dark=name.endswith("-dark"), scale=1) as tab:
        frame = tab.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        tab.send("Page.setDocumentContent", frameId=frame, html=source)
        return tab.picture()


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place, running_browser(Path(place)) as browser:
        for name, source in pages().items():
            (IMAGES / f"{name}.png").write_bytes(draw(browser, name, source))


if __name__ == "__main__":
    main()
