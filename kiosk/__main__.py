"""The door: an environment made from nothing, limits and signals, before anything else is imported."""

from __future__ import annotations

import os
import resource
import signal
import sys

# Not as regular expressions: Python starts twice, and loading them would take as long as all the rest of this file.
_DIGITS = frozenset("0123456789")
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_TERM = _LETTERS | _DIGITS | frozenset("+.-")
_SSH_VALUE = _LETTERS | _DIGITS | frozenset("/:.% -")

# kiosk.process.hardening.overwrite_freed needs every block to come from the C library, and none kept in its
# per-thread cache, where it would not be overwritten. -I and -E would make Python ignore PYTHONMALLOC, hence -P and -s.
_WIPING_ALLOCATOR = {
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",
}
_FLAGS = ("-P", "-s")


def _made_of(characters: frozenset[str], value: str, longest: int) -> bool:
    return 0 < len(value) <= longest and characters.issuperset(value)


def environment(given: dict[str, str]) -> dict[str, str]:
    """All that the program is told by its surroundings. Everything else, by any name, is left behind."""
    made = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/nonexistent",
        # Key presses look alike in all terminals, and its parser cannot be reached (see kiosk/fullscreen/driver.py).
        "TEXTUAL_DISABLE_KITTY_KEY": "1",
        # How often it looks for something to draw after a key; at its own 60 a key waits 8 ms on average for nothing.
        "TEXTUAL_FPS": "240",
        **_WIPING_ALLOCATOR,
    }
    term = given.get("TERM", "")
    made["TERM"] = term if _made_of(_TERM, term, 40) else "xterm"
    if given.get("COLORTERM") in {"truecolor", "24bit"}:
        made["COLORTERM"] = "truecolor"
    for name in ("SSH_CONNECTION", "SSH_TTY"):
        # For the record only: where the person sits.
        if _made_of(_SSH_VALUE, given.get(name, ""), 120):
            made[name] = given[name]
    for name in ("LISTEN_FDS", "LISTEN_PID"):
        # The broker's socket, opened by systemd. The kiosk does not look.
        if _made_of(_DIGITS, given.get(name, ""), 10):
            made[name] = given[name]
    return made


def main() -> None:
    """Start again in a clean environment, or, when in one, go on."""
    # Until the terminal is raw, Ctrl-Z and Ctrl-\ act: neither may stop the program in front of a person.
    for number in (signal.SIGTSTP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    given = dict(os.environ)
    wanted = environment(given)
    well_started = sys.flags.safe_path and sys.flags.no_user_site and not sys.flags.ignore_environment
    if given != wanted or not well_started:
        os.execve(sys.executable, [sys.executable, *_FLAGS, "-m", "kiosk", *sys.argv[1:]], wanted)  # noqa: S606
    from kiosk.cli.fast_path import run_directly

    if (code := run_directly(sys.argv[1:])) is not None:
        sys.exit(code)
    from kiosk.cli.main import cli

    cli(prog_name="kiosk")


if __name__ == "__main__":
    main()
