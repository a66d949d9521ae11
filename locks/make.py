"""Resolve the dependencies of pyproject.toml into hashed lists, without naming where they come from."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
GROUPS = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["dependency-groups"]

BASE = PROJECT["dependencies"]
EXTRAS = PROJECT["optional-dependencies"]
BUILD = ["hatchling", "hatch-vcs", "editables"]
DEV = [*EXTRAS["postgresql"], *(need for need in GROUPS["dev"] if not need.startswith("recovery-kiosk"))]
DEMO = [*BASE, *EXTRAS["broker"], *EXTRAS["sign-in"], *EXTRAS["sandbox"], *BUILD]

LISTS = {
    "kiosk": BASE,
    # The sign-in page usually runs beside the broker.
    "broker": [*BASE, *EXTRAS["broker"], *EXTRAS["postgresql"], *EXTRAS["sign-in"]],
    "sign-in": [*BASE, *EXTRAS["sign-in"]],
    "demo": DEMO,
    "dev": [*DEMO, *DEV],
    "microsoft": [*DEMO, *DEV, *GROUPS["microsoft"]],
}


def main() -> None:
    # The largest list is resolved first and constrains the others, so that all lists agree on versions.
    widest: Path | None = None
    with tempfile.TemporaryDirectory() as scratch:
        for name in reversed(LISTS):
            needs = Path(scratch) / f"{name}.in"
            needs.write_text("\n".join(LISTS[name]))
            target = HERE / f"{name}.txt"
            command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
            command += ["--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate"]
            # Building a source archive would run it.
            command += ["--only-binary", ":all:", "--emit-build-options"]
            command += ["--python-version", "3.11", "--output-file", str(target), str(needs)]
            if widest:
                command += ["--constraints", str(widest)]
            subprocess.run(command, check=True)  # noqa: S603 - our own arguments
            widest = widest or target


if __name__ == "__main__":
    main()
