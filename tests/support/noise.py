"""Random terminal input, valid and invalid, from a grammar. The same seed gives the same bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator


def grammar(rng: random.Random) -> Iterator[bytes]:
    """Yield pieces of valid and invalid terminal input, without end."""

    def number() -> bytes:
        return str(rng.choice([0, 1, 2, 7, 48, 200, 201, 9999, 1114112, 2**31, -1, rng.randrange(500)])).encode()

    def numbers(separators: bytes) -> bytes:
        return b"".join(number() + bytes([rng.choice(separators)]) for _ in range(rng.randrange(6)))

    def text(length: int) -> bytes:
        return "".join(
            chr(rng.choice([rng.randrange(32, 127), rng.randrange(160, 0xD7FF)])) for _ in range(length)
        ).encode()

    makers: list[Callable[[], bytes]] = [
        lambda: b"\x1b[" + rng.choice([b"", b"?", b"<", b">", b"="]) + numbers(b";:") + bytes([rng.randrange(64, 127)]),
        lambda: b"\x1b[" + numbers(b";:") + number() + b"u",
        lambda: b"\x1b[<" + number() + b";" + number() + b";" + number() + rng.choice([b"M", b"m"]),
        lambda: b"\x1b[M" + rng.randbytes(3),
        lambda: b"\x1b[48;" + numbers(b";:") + b"t",
        lambda: rng.choice([b"\x1b[I", b"\x1b[O"]),
        lambda: b"\x1b[?2026;" + number() + b"$y",
        lambda: b"\x1b]" + number() + b";" + text(20) + rng.choice([b"\x07", b"\x1b\\", b""]),
        lambda: b"\x1b" + rng.choice([b"P", b"_", b"^", b"X"]) + text(20) + rng.choice([b"\x1b\\", b"\x9c", b""]),
        lambda: b"\x1b[200~" + text(rng.randrange(40)) + rng.choice([b"\x1b[201~", b"\x1b[201~", b""]),
        lambda: b"\x1bO" + bytes([rng.randrange(64, 127)]),
        lambda: b"\x1b[" + str(rng.randrange(40)).encode() + b"~",
        lambda: bytes([rng.randrange(32)]),
        lambda: rng.choice([b"\xc3", b"\xed\xa0\x80", b"\xf5", b"\x80", b"\xc0\xaf", b"\xef\xbf\xbf", b"\xff\xfe"]),
        lambda: text(rng.randrange(1, 8)),
        lambda: rng.randbytes(rng.randrange(1, 64)),
        lambda: b"\x1b" * rng.randrange(1, 40),
        lambda: rng.choice([b"a", b"\x1b[A", b"\r", b"\x1bOP", b"\x00", b"\x1b[", b"1;"]) * rng.randrange(1, 400),
    ]
    while True:
        yield rng.choice(makers)()
