"""Error messages for configuration files: one line with file, line, key and what was expected.

msgspec names the place of a mistake and its kind. What was expected comes from our own types, so that it does not
depend on msgspec's wording.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from kiosk.errors import ConfigError

_NAMES = {str: "text", bool: "true or false", int: "a whole number", float: "a number", Path: "a path"}


def syntax_error(path: Path, error: tomllib.TOMLDecodeError) -> ConfigError:
    """Describe a file that is not TOML."""
    message = str(error)
    place = re.search(r"\(at line (\d+), column \d+\)", message)
    reason = message[: place.start()].strip() if place else message
    return ConfigError(path, f"expected TOML: {reason}", line=int(place[1]) if place else None)


def value_error(path: Path, text: str, kind: type[msgspec.Struct], error: msgspec.ValidationError) -> ConfigError:
    """Describe a file whose tables do not fit ``kind``."""
    reason, _, place = str(error).partition(" - at `$")
    keys = re.findall(r"\w+", place)
    if unknown := re.search(r"unknown field `(.+)`", reason):
        # The type of an optional table is a union.
        table = next(part for part in _parts(_type_at(kind, keys)) if issubclass(part, msgspec.Struct))
        known = [field.encode_name for field in msgspec.structs.fields(table)]
        # Imported here because the kiosk loads this module at every start.
        import difflib

        near = difflib.get_close_matches(unknown[1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "expected one of " + ", ".join(known)
        keys.append(unknown[1])
        return ConfigError(path, f"unknown key; {hint}", key=".".join(keys), line=line_of(text, keys))
    if missing := re.search(r"missing required field `(.+)`", reason):
        line = line_of(text, keys) if keys else None
        keys.append(missing[1])
        return ConfigError(path, f"missing; expected {_described(_type_at(kind, keys))}", key=".".join(keys), line=line)
    # A type of ours that refuses a value has words of its own.
    expected = str(error.__cause__) if error.__cause__ else f"expected {_described(_type_at(kind, keys))}"
    return ConfigError(path, expected, key=".".join(keys), line=line_of(text, keys))


def _type_at(kind: Any, keys: Sequence[str]) -> Any:
    """Return the annotation of the value under these keys."""
    for key in keys:
        for part in _parts(kind):
            if get_origin(part) is tuple:
                kind = get_args(part)[0]
            elif isinstance(part, type) and issubclass(part, msgspec.Struct):
                kind = next(field.type for field in msgspec.structs.fields(part) if field.encode_name == key)
    return kind


def _parts(kind: Any) -> Iterator[Any]:
    """Yield the types of a union except None, or the type itself."""
    if get_origin(kind) in {Union, UnionType}:
        yield from (part for part in get_args(kind) if part is not type(None))
    else:
        yield kind


def _described(kind: Any) -> str:
    """Return what a value of this type is, in words."""
    return " or ".join(_described_part(part) for part in _parts(kind))


def _described_part(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        inner, meta = get_args(kind)
        return meta.description or _described(inner) + _bounds(meta)
    if get_origin(kind) is Literal:
        return _choice(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _choice([member.value for member in kind])
    if get_origin(kind) is tuple:
        return "a list"
    return _NAMES.get(kind, "a table")


def _choice(values: Sequence[str]) -> str:
    """Return the values as JSON and TOML write them: ``"a", "b" or "c"``."""
    *others, last = [f'"{value}"' for value in values]
    return f"{', '.join(others)} or {last}" if others else last


def _bounds(meta: msgspec.Meta) -> str:
    if meta.ge is not None and meta.le is not None:
        return f" from {meta.ge} to {meta.le}"
    return f", at least {meta.ge}" if meta.ge is not None else ""


def line_of(text: str, keys: Sequence[str]) -> int | None:
    """Return the line of a key, or of the heading of its table, counted from 1."""
    tables, key = list(keys[:-1]), keys[-1]
    if key.isdigit() and tables:
        # An entry of a list, whose line is that of the list; or one of several tables of the same name.
        tables, key = tables[:-1], tables[-1]
    current: list[str] = []
    repeated: Counter[str] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := re.match(r"\s*\[(\[?)\s*([\w.\-\" ]+?)\s*\]", line):
            current = [part.strip().strip('"') for part in heading[2].split(".")]
            if heading[1]:
                current.append(str(repeated[heading[2]]))
                repeated[heading[2]] += 1
            if current == list(keys):
                return number
        elif (entry := re.match(r"\s*([\w.\-\"]+)\s*=", line)) and [
            *current,
            *(part.strip('"') for part in entry[1].split(".")),
        ] == [*tables, key]:
            return number
    return None
