"""Searches the writable memory of a process for secrets, in every form in which software leaves one.

By hand, as root:  python -m tests.support.memory PID PATTERN...

A pattern that looks like a recovery key (groups of four, with dashes) is searched for as any two neighbouring groups,
with or without dashes, blanks and terminal sequences between the characters; any other pattern as it stands. Both as
one, two and four bytes a character. Prints form and place of every find, never the secret; the exit code is 1 if there
was one. Patterns on a command line can be seen by others: without any, they are read from standard input, one a line.
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
# Blanks up to the next column, a number, a character and the colours of all.
_MOST_BETWEEN_WORDS = 90
_LARGEST_REGION = 1 << 30


@dataclass(frozen=True)
class Find:
    """One place. ``form`` says which; the secret itself is never repeated."""

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
    """What a drawn line has between two characters: colours, cursor moves, blanks, and the dashes of the key."""
    zero = rb"\x00" * (width - 1)
    csi = rb"\x1b" + zero + rb"\[" + zero + rb"(?:[0-9;:?<>]" + zero + rb")*[@-~]" + zero
    charset = rb"\x1b" + zero + rb"[()]" + zero + rb"[AB0]" + zero
    plain = rb"[\x0e\x0f\r\n \"',-]" + zero
    # What linear mode has before each group.
    label = b"".join(character.encode() + zero for character in "Group ") + rb"[1-6]" + zero + rb":" + zero
    return rb"(?:" + csi + rb"|" + charset + rb"|" + plain + rb"|" + label + rb")"


_BETWEEN_FORMS = {width: _between(width) for width in _WIDTHS.values()}


def writable_regions(pid: int) -> Iterator[tuple[str, int, bytes]]:
    """Name, address and content of every writable mapping that can be read."""
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
    """Whether it can be in there: much faster than the patterns, which are right but try every place."""
    bare = _SEQUENCE.sub(b"", content.translate(None, _SKIPPED))
    if not _KEY.fullmatch(secret):
        return secret.encode().translate(None, _SKIPPED) in bare
    return any("".join(pair).encode() in bare for pair in itertools.pairwise(secret.split("-")))


def scan(pid: int, secret: str) -> list[Find]:
    """Every place at which the secret stands; of a recovery key, two neighbouring groups or more."""
    patterns = list(_patterns(secret))
    found = []
    for region, start, content in writable_regions(pid):
        if not _worth_a_look(content, secret):
            continue
        for form, pattern in patterns:
            found += [Find(form, region, start + match.start()) for match in pattern.finditer(content)]
    return found


def scan_words(pid: int, runs: Sequence[Sequence[str]]) -> list[Find]:
    """Every place at which the words of a run stand one after the other, with what a drawn line has between them."""
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
