"""What is said of a mistake in a configuration file: one line with file, line, key and what was expected."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import get_args

import msgspec

from kiosk.errors import ConfigError
from kiosk.i18n import LANGUAGES

HTTPS = r"^https://[^\s/]+\S*$"
SOCKET_OR_HTTPS = r"^(unix:/\S+|https://[^\s/]+\S*)$"
SOCKET_OR_HTTP = r"^(unix:/\S+|http://[^\s/]+:[0-9]+)$"
LEVEL = r"^(debug|info|warning)$"
LIMIT = r"^[1-9][0-9]*/(minute|hour|day|week)$"
NOT_EMPTY = r"\S"
AFTER = r"^(restart|exit)$"
UI = r"^(full|linear)$"
WHO = r"^(everyone|role|nobody)$"
SINK_KIND = r"^(syslog|journald|file|webhook)$"
SINK_MODE = r"^(required|best-effort)$"
THEME = r"^(auto|dark|light|contrast|ansi)$"
TYPE = r"^(auto|blocks|console|lines|ascii)$"
COLOUR = r"^#[0-9a-fA-F]{6}$"
LANGUAGE = rf"^({'|'.join(LANGUAGES)})$"

IN_WORDS = {
    HTTPS: "an address that begins with https://",
    SOCKET_OR_HTTPS: "unix:/path/to/socket or an address that begins with https://",
    SOCKET_OR_HTTP: "unix:/path/to/socket or http://address:port",
    LEVEL: '"debug", "info" or "warning"',
    LIMIT: 'a limit such as "3/hour" or "10/day"',
    NOT_EMPTY: "some text",
    WHO: '"everyone", "role" or "nobody"',
    SINK_KIND: '"syslog", "journald", "file" or "webhook"',
    SINK_MODE: '"required" or "best-effort"',
    AFTER: '"restart" or "exit"',
    THEME: '"auto", "dark", "light", "contrast" or "ansi"',
    TYPE: '"auto", "blocks", "console", "lines" or "ascii"',
    COLOUR: 'a colour such as "#1a7f37"',
    LANGUAGE: f"the code of a language: {', '.join(LANGUAGES)}",
    UI: '"full" or "linear"',
}


def syntax_error(path: Path, error: tomllib.TOMLDecodeError) -> ConfigError:
    """What TOML itself cannot read."""
    words = str(error)
    place = re.search(r"\(at line (\d+), column \d+\)", words)
    reason = words[: place.start()].strip() if place else words
    return ConfigError(path, f"expected TOML: {reason}", line=int(place[1]) if place else None)


def explain(path: Path, text: str, kind: type[msgspec.Struct], words: str) -> ConfigError:
    """Turn msgspec's words into one line that an operator can act on."""
    reason, _, place = words.partition(" - at `$")
    keys = [part for part in re.split(r"[.\[\]`]+", place) if part and part != "..."]
    if unknown := re.search(r"unknown field `(.+)`", reason):
        known = [field.encode_name for field in msgspec.structs.fields(_table_type(kind, keys))]
        near = difflib.get_close_matches(unknown[1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "expected one of " + ", ".join(known)
        keys.append(unknown[1])
        return ConfigError(path, f"unknown key; {hint}", key=".".join(keys), line=line_of(text, keys))
    if missing := re.search(r"missing required field `(.+)`", reason):
        expected = "missing; expected a table" if not keys else "missing; every installation sets its own"
        line = line_of(text, keys) if keys else None
        return ConfigError(path, expected, key=".".join([*keys, missing[1]]), line=line)
    for pattern, meaning in IN_WORDS.items():
        reason = reason.replace(f"Expected `str` matching regex {pattern!r}", f"expected {meaning}")
    reason = reason[:1].lower() + reason[1:]
    return ConfigError(path, reason.replace("`", ""), key=".".join(keys), line=line_of(text, keys))


def _table_type(kind: type[msgspec.Struct], keys: list[str]) -> type[msgspec.Struct]:
    for key in keys:
        found = next((field.type for field in msgspec.structs.fields(kind) if field.encode_name == key), None)
        for candidate in (found, *get_args(found)):
            if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct):
                kind = candidate
    return kind


def line_of(text: str, keys: list[str]) -> int | None:
    """The line on which a key stands, or the heading of its table."""
    tables, key = keys[:-1], keys[-1]
    if key.isdigit() and tables:
        tables, key = tables[:-1], tables[-1]
    current: list[str] = []
    repeated: Counter[str] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := re.match(r"\s*\[(\[?)\s*([\w.\-\" ]+?)\s*\]", line):
            current = [part.strip().strip('"') for part in heading[2].split(".")]
            if heading[1]:
                current.append(str(repeated[heading[2]]))
                repeated[heading[2]] += 1
            if current == keys:
                return number
        elif (entry := re.match(r"\s*([\w.\-\"]+)\s*=", line)) and [
            *current,
            *(part.strip('"') for part in entry[1].split(".")),
        ] == [*tables, key]:
            return number
    return None
