"""Find phrases that ``docs/english.md`` rules out, in documents, messages and docstrings: ``python -m docs.words``."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs" / "english.md"
_SECTION = "## Phrases we do not use\n"

# Files and phrases that are right there, with the reason.
ALLOWED = {
    ("docs/causes.md", "out of order"): "said of the kiosk, a machine in front of the person",
    ("kiosk/errors/sign_in_refusals.py", "out of order"): "said of the kiosk, a machine in front of the person",
    ("kiosk/errors/base.py", "out of order"): "said of the kiosk, a machine in front of the person",
    ("kiosk/visit/flow.py", "demanded"): "the name of a parameter",
}

# A literal that ends on one line and continues on the next is one text.
_JOINT = re.compile(r"""["']\s*\n\s*[fFrRbB]*["']""")


class Text(NamedTuple):
    """A piece of text, the file that it is in, and the line on which it starts."""

    file: str
    line: int
    words: str


class Finding(NamedTuple):
    """A phrase that should be reworded."""

    file: str
    line: int
    phrase: str
    better: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.phrase!r}; better: {self.better}"


def phrases(guide: str) -> dict[str, str]:
    """Return each phrase of the guide's table in lower case, with what to write instead."""
    table = guide.partition(_SECTION)[2].partition("\n## ")[0]
    rows = re.findall(r"^\|([^|]*`[^|]*)\|([^|]*)\|$", table, re.MULTILINE)
    return {phrase.lower(): better.strip() for cell, better in rows for phrase in re.findall(r"`([^`]+)`", cell)}


def search(texts: Iterable[Text], unwanted: dict[str, str]) -> Iterator[Finding]:
    """Yield the unwanted phrases in the texts, even where one is broken across lines."""
    pattern = _pattern(unwanted)
    for text in texts:
        for found in pattern.finditer(text.words):
            phrase = " ".join(found[0].lower().split())
            yield Finding(text.file, text.line + text.words.count("\n", 0, found.start()), phrase, unwanted[phrase])


def _pattern(unwanted: Iterable[str]) -> re.Pattern[str]:
    choices = sorted((r"\s+".join(map(re.escape, phrase.split())) for phrase in unwanted), reverse=True)
    return re.compile(rf"(?<!\w)(?=\w)(?:{'|'.join(choices)})(?!\w)|(?!\w)(?:{'|'.join(choices)})", re.IGNORECASE)


def documents() -> Iterator[Text]:
    """Yield everything that people read in files: pages, the change log, and what is installed from ``deploy/``."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("changes/*.md"), *ROOT.glob("benchmarks/*.md")]
    for path in sorted([*pages, *(path for path in (ROOT / "deploy").rglob("*") if path.is_file())]):
        words = path.read_text(encoding="utf-8")
        if path == GUIDE:
            # Its tables quote what not to write.
            words = re.sub(r"^\|.*", "", words, flags=re.MULTILINE)
        yield Text(str(path.relative_to(ROOT)), 1, words)


def sources(unwanted: Iterable[str]) -> Iterator[Text]:
    """Yield the literals and docstrings of the product's modules that can contain one of the phrases."""
    pattern = _pattern(unwanted)
    for path in sorted((ROOT / "kiosk").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        # Parsing every module would take a second.
        if pattern.search(_JOINT.sub("", source)):
            yield from literals(str(path.relative_to(ROOT)), source)


def literals(file: str, source: str) -> Iterator[Text]:
    """Yield the string literals of a module, docstrings included; an f-string is one text."""
    parts: set[ast.AST] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts.update(node.values)
            words = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield Text(file, node.lineno, words)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            yield Text(file, node.lineno, node.value)


def check() -> list[str]:
    """Return one line for each phrase to reword, and for each allowance that is no longer needed."""
    unwanted = phrases(GUIDE.read_text(encoding="utf-8"))
    found = list(search([*documents(), *sources(unwanted)], unwanted))
    used = {(each.file, each.phrase) for each in found}
    wrong = [str(each) for each in found if (each.file, each.phrase) not in ALLOWED]
    return wrong + [f"docs/words.py: {file} no longer contains {phrase!r}" for file, phrase in ALLOWED.keys() - used]


if __name__ == "__main__":
    sys.exit("\n".join(check()) or None)
