"""Configuration files: TOML, typed and strict."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kiosk.config.messages import line_of, syntax_error, value_error
from kiosk.config.types import Section
from kiosk.errors import ConfigError

Configuration = TypeVar("Configuration", bound=Section)


def load(path: Path, kind: type[Configuration], *, readable: bool = True) -> Configuration:
    """Read and check one configuration file. Raises ConfigError.

    Relative paths start at the folder of the file. Every file that it names must be readable, unless ``readable`` is
    False.
    """
    text = read_text(path, "a configuration file")
    tables = read_tables(path)
    try:
        loaded = msgspec.convert(tables, kind, strict=True, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise value_error(path, text, kind, error) from None
    return _resolve(loaded, path, text, readable=readable)


def read_tables(path: Path) -> dict[str, Any]:
    """Return the tables of a configuration file, unchecked. Raises ConfigError."""
    text = read_text(path, "a configuration file")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise syntax_error(path, error) from None


def read_text(path: Path, what: str) -> str:
    """Read a text file of the operator. Raises ConfigError, which says that ``what`` was expected."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(path, f"expected {what} in UTF-8") from None
    except OSError as error:
        raise ConfigError(path, f"expected {what}: {error.strerror or error}") from None


def expect_closed(path: Path, what: str) -> None:
    """Refuse a file with a secret that others may open, or that its group may change. Raises ConfigError.

    Its group may read it: that is how root gives a file to a service.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise ConfigError(path, f"expected {what}: {error.strerror or error}") from None
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        expected = f"expected {what} not to be accessible to others or writable by its group"
        raise ConfigError(path, f"{expected} (chmod g-w,o-rwx); its mode is {mode:04o}")


def file_versions(paths: Iterable[Path | None]) -> object:
    """Return a value that differs from an earlier one if one of these files was written or replaced in between."""

    def version(path: Path) -> tuple[int, ...] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    return [version(path) for path in paths if path]


def _decode(kind: type[Any], value: object) -> Any:
    """Make a value of a type that TOML does not have. Raises ValueError, whose text is the error message."""
    if kind is not Path:
        return kind(value)
    if isinstance(value, str) and value.strip():
        return Path(value)
    raise ValueError("expected a path")


def _resolve(loaded: Configuration, path: Path, text: str, *, readable: bool) -> Configuration:
    """Make paths absolute. With ``readable``, raises ConfigError for a path that cannot be read."""
    folder = path.resolve().parent

    def resolved(section: Section, keys: list[str]) -> Section:
        values: dict[str, Any] = {}
        # Not msgspec.structs.fields, which evaluates each annotation.
        for name, encoded in zip(section.__struct_fields__, section.__struct_encode_fields__, strict=True):
            value = getattr(section, name)
            here = [*keys, encoded]
            if isinstance(value, Section):
                values[name] = resolved(value, here)
            elif isinstance(value, tuple) and value and isinstance(value[0], Section):
                values[name] = tuple(resolved(one, [*here, str(i)]) for i, one in enumerate(value))
            elif isinstance(value, Path):
                values[name] = file = folder / value.expanduser()
                if readable:
                    _readable(file, path, here, text)
        return msgspec.structs.replace(section, **values)

    whole = resolved(loaded, [])
    assert isinstance(whole, type(loaded))
    return whole


def _readable(file: Path, path: Path, keys: list[str], text: str) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        reason = f"expected a readable file: {file}: {error.strerror or error}"
        raise ConfigError(path, reason, key=".".join(keys), line=line_of(text, keys)) from None
