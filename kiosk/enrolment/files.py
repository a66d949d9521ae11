"""Reads and writes the files of an enrolment. A file appears whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from kiosk.errors import ConfigError

PRIVATE = 0o600
PUBLIC = 0o644
_LARGEST = 1 << 16


def write(path: Path, content: bytes, mode: int, group: str = "") -> None:
    """Write a file with this mode, in place of one that is there. Raises ConfigError.

    With a group, its members may read the file as well.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if group:
                shutil.chown(draft, group=group)
                mode |= 0o040
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        draft.replace(path)
    except LookupError:
        raise ConfigError(path, f"there is no group {group}") from None
    except OSError as error:
        raise ConfigError(path, f"expected to write this file: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path, what: str) -> bytes:
    """Return the content of a file that somebody else may have written. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(path, f"expected {what}: {error.strerror or error}") from None
    if len(content) > _LARGEST:
        raise ConfigError(path, f"expected {what}, found more than {_LARGEST} bytes")
    return content
