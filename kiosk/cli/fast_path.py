"""``kiosk run --config FILE``, as launchers start it, without click: importing click takes time."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from kiosk.process.exit_codes import EXIT_CONFIGURATION, EXIT_CRASH


def run_kiosk(path: Path, *, linear: bool) -> int:
    """Run the kiosk on this terminal. Returns the exit code. Raises ConfigError."""
    # Nothing that is loaded here is ever garbage; see docs/startup.md.
    gc.disable()
    from kiosk.config.kiosk import KioskConfig
    from kiosk.config.loading import load
    from kiosk.launcher import launch

    config = load(path, KioskConfig)
    return launch(config, linear=linear or config.visit.ui == "linear")


def run_directly(words: list[str]) -> int | None:
    """Run a command line of this one form and return the exit code. Returns None for any other, which needs click."""
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
    except Exception as error:  # a traceback on a kiosk's screen helps nobody in front of it
        from kiosk.process.logging import place_of

        sys.stderr.write(f"kiosk: internal error: {place_of(error)}\n")
        return EXIT_CRASH
