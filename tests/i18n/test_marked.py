"""No word that a person sees is without a mark for translation."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk import i18n
from kiosk.recovery_key.spelling import DIGITS, INTERNATIONAL, LETTERS, alphabet
from tests.screens.test_goldens import DEVICES, HELPDESK, PORTAL
from tests.support.phone_progress import TYPED
from tests.support.scenes import ERRORS, ONLY_LETTERS, PAIRS, SCENES, ZEROS, played
from tests.support.screen_app import CONFIG, KEY, PERSON, ScreenApp, rows
from translations.catalogues import marked

KIOSK = Path(i18n.__file__).parent
# Where words for the person come from.
SPEAKING = [
    *KIOSK.glob("screens/*.py"),
    *KIOSK.glob("widgets/*.py"),
    *KIOSK.glob("linear/*.py"),
    *KIOSK.glob("errors/*.py"),
    KIOSK / "fullscreen/app.py",
    KIOSK / "fullscreen/ui.py",
    KIOSK / "recovery_key/look_alikes.py",
    KIOSK / "visit/device_code_sign_in.py",
    KIOSK / "visit/flow.py",
    KIOSK / "visit/phone_sign_in.py",
    KIOSK / "visit/requests.py",
    KIOSK / "wording.py",
]

_MARKS = {"_", "N_", "ngettext"}
# For the operator or the programmer.
_OTHERS = {
    "info",
    "warning",
    "error",
    "exception",
    "debug",
    "ValueError",
    "AssertionError",
    "BrokerUnreachable",
    "SealBroken",
    "TerminalWatched",
}
# A style, and what docs/causes.md tells operators.
_UNSHOWN_FIELDS = {"DEFAULT_CSS", "origin"}
_CODES = re.compile("|".join(rf"[(:] ?{code}\b" for code in ERRORS))
_NOT_SHOWN = {"half blocks"}
_TWO_WORDS = re.compile(r"[A-Za-z']{2,},? [a-z]{2,}")
_FIELD = re.compile(r"(\{[^}]*\})")
_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ]+")
_LETTER = re.compile(r"[A-Za-z]")

# What is data in any language: who, whose and what, the key itself, names of keys on the keyboard and of products.
FOREIGN = " ".join(
    [
        *(CONFIG.organisation.name, HELPDESK, PORTAL, PERSON.name, PERSON.address, KEY.decode()),
        *(f"{device.name} {device.model} {device.serial}" for device in DEVICES),
        *("A Mac with a rather long name, 3rd floor", "Astrid's MacBook Pro", "Ada Kessler"),
        *("microsoft.com/devicelogin login.microsoft.com/device", "F J C 3 R T F R G", "35AJ-AC98-TI1H", "INC0042"),
        *("macOS", "1A2B3C4D", "AADSTS500011", "tmux", "F1 F5 F8 F9 F10 F12", *i18n.LANGUAGES.values()),
        *(ONLY_LETTERS.decode(), ZEROS.decode(), PAIRS.decode(), *LETTERS),
        *map(alphabet(INTERNATIONAL).word, LETTERS + DIGITS),
        *(TYPED, "a" * 160, "m" * 47, "Maximiliane"),
        *("lobby", "Microsoft", "Entra correlation-id", "UTC"),
    ]
)


def known(word: str) -> bool:
    """Whether a word is data, or the beginning or the end of it: names are cut, of serials the end is shown."""
    return any(whole.startswith(word) or whole.endswith(word) for whole in _WORD.findall(FOREIGN))


class Redacted(gettext.NullTranslations):
    """Translates everything that is marked into words without a Latin letter, of the same length."""

    def __init__(self) -> None:
        super().__init__()
        self._marked = {message for _, messages, _ in marked() for message in _each(messages)}

    def gettext(self, message: str) -> str:
        if message not in self._marked:
            return message
        return "".join(part if part.startswith("{") else _LETTER.sub("ж", part) for part in _FIELD.split(message))

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def _each(messages: str | tuple[str, ...]) -> tuple[str, ...]:
    return messages if isinstance(messages, tuple) else (messages,)


@pytest.fixture
def _english_again() -> Iterator[None]:
    yield
    i18n.use(i18n.SOURCE)


@pytest.mark.usefixtures("_english_again")
async def test_what_is_drawn_is_marked() -> None:
    faults: list[str] = []
    app = ScreenApp(note="DEMO - simulated organisation")
    i18n.speak(Redacted())
    async with app.run_test(size=(80, 24)) as pilot:
        for name in SCENES:
            async with played(app, name, pilot):
                for line in rows(app):
                    words = [word for word in _WORD.findall(_CODES.sub("", line)) if not known(word)]
                    faults += [f"{name}: {words} in {line.strip()!r}"] if words else []
    assert not faults, "\n".join(["", *faults])


@pytest.mark.parametrize("file", SPEAKING, ids=lambda file: str(file.relative_to(KIOSK)))
def test_sentences_in_the_code_are_marked(file: Path) -> None:
    tree = ast.parse(file.read_text())
    sentences = list(_unmarked(tree))
    assert not sentences, "\n".join(["", *sentences, "mark them with _() or N_(), see docs/translating.md"])


def _unmarked(node: ast.AST) -> Iterator[str]:
    """Strings with at least two words that are neither marked, nor documentation, nor a style."""
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in _MARKS | _OTHERS:
            return
    if isinstance(node, ast.Assert):
        return
    if isinstance(node, ast.Assign) and any(getattr(target, "id", "") in _UNSHOWN_FIELDS for target in node.targets):
        return
    if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") in _UNSHOWN_FIELDS:
        return
    if isinstance(node, ast.keyword) and node.arg in {"id", "classes", *_UNSHOWN_FIELDS}:
        return
    # A string that stands alone documents what is above it.
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    if _TWO_WORDS.search(text) and text not in _NOT_SHOWN:
        yield f"line {getattr(node, 'lineno', 0)}: {text!r}"
    for child in ast.iter_child_nodes(node):
        yield from _unmarked(child)
