"""``kiosk run --config FILE`` as launchers start it, without the library for command lines: that takes time to load."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from kiosk.process.exit_codes import EXIT_CONFIGURATION


def run_kiosk(path: Path, *, linear: bool) -> int:
    """Run the kiosk on this terminal; returns the exit code. Raises ConfigError."""
    # Nothing that is loaded here is ever collected.
    gc.disable()
    from kiosk.config.kiosk import KioskConfig
    from kiosk.config.loading import load
    from kiosk.launcher import launch

    config = load(path, KioskConfig)
    return launch(config, linear=linear or config.visit.ui == "linear")


def run_directly(words: list[str]) -> int | None:
    """The exit code, or None for a command line that has to be looked at more closely."""
    match words:
        case ["run", "--config", path] if not path.startswith("-") and Path(path).is_file():
            pass
        case _:
            return None
    from kiosk.errors import ConfigError

    try:
        return run_kiosk(Path(path), linear=False)
    except ConfigError as error:
        sys.stderr.write(f"kiosk: {error}\n")
        return EXIT_CONFIGURATION
