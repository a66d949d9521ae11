"""Configuration: TOML files, typed and strict, with errors that name file, line, key and what was expected."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kiosk.config.messages import (
    explain,
    line_of,
    syntax_error,
)
from kiosk.config.safe_regex import Pattern
from kiosk.config.types import Section
from kiosk.errors import ConfigError

Configuration = TypeVar("Configuration", bound=Section)


def load(path: Path, kind: type[Configuration]) -> Configuration:
    """Read and check one configuration file. Raises ConfigError.

    Relative paths in it are taken from the file's own folder; every file that it names must be readable.
    """
    text = read_text(path, "a configuration file")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise syntax_error(path, error) from None
    try:
        loaded = msgspec.convert(tables, kind, strict=True, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise explain(path, text, kind, str(error)) from None
    return _resolve(loaded, path, text)


def read_text(path: Path, what: str) -> str:
    """Read a text file of the operator. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(path, f"expected {what} in UTF-8") from None
    except OSError as error:
        raise ConfigError(path, f"expected {what}: {error.strerror or error}") from None


def changed(paths: Iterable[Path | None]) -> object:
    """Something that compares unequal once one of these files was written or replaced."""

    def seen(path: Path) -> tuple[int, ...] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    return [seen(path) for path in paths if path]


def _decode(kind: type[Any], value: object) -> Path | Pattern:
    if kind is Pattern:
        return Pattern(value)
    if kind is Path and isinstance(value, str) and value.strip():
        return Path(value)
    raise ValueError("Expected a path")


def _resolve(loaded: Configuration, path: Path, text: str) -> Configuration:
    """Make paths absolute and see that the files behind them can be read."""
    folder = path.resolve().parent

    def visit(section: Section, keys: list[str]) -> Section:
        changed: dict[str, Any] = {}
        for field in msgspec.structs.fields(section):
            value = getattr(section, field.name)
            here = [*keys, field.encode_name]
            if isinstance(value, Section):
                changed[field.name] = visit(value, here)
            elif isinstance(value, tuple) and value and isinstance(value[0], Section):
                changed[field.name] = tuple(visit(one, [*here, str(i)]) for i, one in enumerate(value))
            elif isinstance(value, Path):
                changed[field.name] = whole = folder / value.expanduser()
                _readable(whole, path, here, text)
        return msgspec.structs.replace(section, **changed)

    resolved = visit(loaded, [])
    assert isinstance(resolved, type(loaded))
    return resolved


def _readable(file: Path, path: Path, keys: list[str], text: str) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        reason = f"expected a file that can be read: {file}: {error.strerror or error}"
        raise ConfigError(path, reason, key=".".join(keys), line=line_of(text, keys)) from None
