"""Search the writable memory of a process for secrets, in every form in which software leaves them.

By hand, as root:  python -m tests.support.memory PID PATTERN...

A pattern that looks like a recovery key (groups of four, with dashes) matches any two neighbouring groups, with or
without dashes, blanks and terminal sequences between the characters. Any other pattern matches literally. Both are
searched for with one, two and four bytes per character. Prints form and place of every find, never the secret. The exit
code is 1 if there was a find. Other users can see the patterns on a command line; without any, the program reads them
from standard input, one per line.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_KEY = re.compile(r"[A-Z0-9]{4}(-[A-Z0-9]{4})+")
_WIDTHS = {"ascii": 1, "utf-16": 2, "utf-32": 4}
_MOST_BETWEEN = 12
# Blanks up to the next column, then a number, a character, and the colours of each.
_MOST_BETWEEN_WORDS = 90
_LARGEST_REGION = 1 << 30


@dataclass(frozen=True)
class Find:
    """A place where the secret was found, and in which ``form``. Never contains the secret."""

    form: str
    region: str
    offset: int


def _patterns(secret: str) -> Iterator[tuple[str, re.Pattern[bytes]]]:
    if _KEY.fullmatch(secret):
        yield from _key_patterns(secret)
        return
    for name, width in _WIDTHS.items():
        units = "".join(character + "\x00" * (width - 1) for character in secret)
        yield name, re.compile(re.escape(units.encode()))


def _key_patterns(key: str) -> Iterator[tuple[str, re.Pattern[bytes]]]:
    groups = key.split("-")
    pairs = ["".join(pair) for pair in itertools.pairwise(groups)]
    for name, width in _WIDTHS.items():
        zeros = rb"\x00" * (width - 1)
        between = _BETWEEN_FORMS[width]
        for pair in pairs:
            units = [character.encode() + zeros for character in pair]
            joint = b"(?:" + between + b"){0,%d}" % _MOST_BETWEEN
            yield name, re.compile(joint.join(units), re.DOTALL)


def _between(width: int) -> bytes:
    """Return a pattern for what a drawn line has between two characters: colours, cursor moves, blanks and dashes."""
    zero = rb"\x00" * (width - 1)
    csi = rb"\x1b" + zero + rb"\[" + zero + rb"(?:[0-9;:?<>]" + zero + rb")*[@-~]" + zero
    charset = rb"\x1b" + zero + rb"[()]" + zero + rb"[AB0]" + zero
    plain = rb"[\x0e\x0f\r\n \"',-]" + zero
    # Linear mode writes this before each group.
    label = b"".join(character.encode() + zero for character in "Group ") + rb"[1-6]" + zero + rb":" + zero
    return rb"(?:" + csi + rb"|" + charset + rb"|" + plain + rb"|" + label + rb")"


_BETWEEN_FORMS = {width: _between(width) for width in _WIDTHS.values()}


def writable_regions(pid: int) -> Iterator[tuple[str, int, bytes]]:
    """Yield name, address and content of every readable, writable mapping."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, flags, _, _, _, *name = line.split(maxsplit=5)
            start, end = (int(part, 16) for part in place.split("-"))
            if "w" not in flags or end - start > _LARGEST_REGION:
                continue
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except OSError:
                continue
            yield (name[0] if name else "anonymous"), start, content


_SKIPPED = b"\x00\x0e\x0f\r\n \"',-"
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;:?<>]*[@-~]|[()][AB0])")


def _worth_a_look(content: bytes, secret: str) -> bool:
    """Whether the content can contain the secret. Much faster than the patterns, which are exact but try each place."""
    bare = _SEQUENCE.sub(b"", content.translate(None, _SKIPPED))
    if not _KEY.fullmatch(secret):
        return secret.encode().translate(None, _SKIPPED) in bare
    return any("".join(pair).encode() in bare for pair in itertools.pairwise(secret.split("-")))


def scan(pid: int, secret: str) -> list[Find]:
    """Return every place that contains the secret or, for a recovery key, two neighbouring groups of it."""
    patterns = list(_patterns(secret))
    found = []
    for region, start, content in writable_regions(pid):
        if not _worth_a_look(content, secret):
            continue
        for form, pattern in patterns:
            found += [Find(form, region, start + match.start()) for match in pattern.finditer(content)]
    return found


def scan_words(pid: int, runs: Sequence[Sequence[str]]) -> list[Find]:
    """Return every place that contains the words of a run in order, with what a drawn line has between them."""
    found = []
    patterns = []
    for run in runs:
        for name, encoding in (
            ("latin-1", "latin-1"),
            ("utf-8", "utf-8"),
            ("utf-16", "utf-16-le"),
            ("utf-32", "utf-32-le"),
        ):
            between = b".{0,%d}?" % (_MOST_BETWEEN_WORDS * (4 if encoding == "utf-32-le" else 2))
            patterns.append(
                (name, re.compile(between.join(re.escape(word.encode(encoding)) for word in run), re.DOTALL))
            )
    for region, _, content in writable_regions(pid):
        for form, pattern in patterns:
            found += [Find(form, region, match.start()) for match in pattern.finditer(content)]
    return found


def main(arguments: list[str]) -> int:
    if not arguments or not arguments[0].isdigit():
        print(__doc__)
        return 2
    total = 0
    for number, secret in enumerate(arguments[1:] or sys.stdin.read().split(), 1):
        for find in scan(int(arguments[0]), secret):
            print(f"pattern {number}: {find.form} in {find.region} at {find.offset:#x}")
            total += 1
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
