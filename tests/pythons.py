"""Print the newest patch release of each CPython from 3.11 up that is installed here: ``3.13 /path/to/python``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST = (3, 11)
_ASK = "import platform, sys; print(platform.python_implementation(), *sys.version_info[:3]); import venv, ensurepip"


def _candidates() -> Iterator[Path]:
    yield Path(sys.executable)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield from Path(folder).glob("python3.[0-9]*")
    for versions in (Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions", Path("/opt/python")):
        yield from versions.glob("*/bin/python3")


def _version(python: Path) -> tuple[int, int, int] | None:
    """The version of a CPython that can make virtual environments; None for anything else, such as pyenv's shims."""
    try:
        asked = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, timeout=30, check=True)
        implementation, *numbers = asked.stdout.split()
        major, minor, patch = map(int, numbers)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return (major, minor, patch) if implementation == "CPython" else None


def main() -> None:
    """Write one line for each minor version, oldest first."""
    found: dict[tuple[int, int], tuple[int, Path]] = {}
    for python in _candidates():
        if python.name.endswith("-config") or not (version := _version(python)) or version[:2] < OLDEST:
            continue
        *minor, patch = version
        best = found.get((minor[0], minor[1]))
        if best is None or best[0] < patch:
            found[minor[0], minor[1]] = (patch, python)
    for (major, minor_number), (_, python) in sorted(found.items()):
        sys.stdout.write(f"{major}.{minor_number} {python}\n")


if __name__ == "__main__":
    main()
