"""Entry point of all programs: sets limits, signals and a clean environment before it imports anything else.

``docs/startup.md`` describes what follows.
"""

from __future__ import annotations

import os
import resource
import signal
import sys

# No regular expressions: Python starts twice, and importing re takes as long as the rest of this file.
_DIGITS = frozenset("0123456789")
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_TERM = _LETTERS | _DIGITS | frozenset("+.-")
_SSH_VALUE = _LETTERS | _DIGITS | frozenset("/:.% -")

# kiosk.process.hardening.overwrite_freed only works for blocks that come from the C library and that its per-thread
# cache does not keep. -I and -E would make Python ignore PYTHONMALLOC, hence -P and -s.
_WIPING_ALLOCATOR = {
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",
}
_FLAGS = ("-P", "-s")


def _made_of(characters: frozenset[str], value: str, longest: int) -> bool:
    return 0 < len(value) <= longest and characters.issuperset(value)


def environment(given: dict[str, str]) -> dict[str, str]:
    """Return the environment that the program runs in: fixed values, and the few given ones that are well formed."""
    made = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/nonexistent",
        # Without the kitty protocol, key presses look alike in all terminals (see kiosk/fullscreen/driver.py).
        "TEXTUAL_DISABLE_KITTY_KEY": "1",
        # How often Textual looks for something to draw. At its own 60 a key press waits 8 ms on average.
        "TEXTUAL_FPS": "240",
        **_WIPING_ALLOCATOR,
    }
    term = given.get("TERM", "")
    made["TERM"] = term if _made_of(_TERM, term, 40) else "xterm"
    if given.get("COLORTERM") in {"truecolor", "24bit"}:
        made["COLORTERM"] = "truecolor"
    for name in ("SSH_CONNECTION", "SSH_TTY"):
        # For the record: where the person sits. Also used to notice a recorder in between.
        if _made_of(_SSH_VALUE, given.get(name, ""), 120):
            made[name] = given[name]
    for name in ("LISTEN_FDS", "LISTEN_PID"):
        # The broker's socket, opened by systemd. A kiosk ignores them.
        if _made_of(_DIGITS, given.get(name, ""), 10):
            made[name] = given[name]
    return made


def main() -> None:
    """Run the command line; outside a clean environment, replace this process by one that has it."""
    # Ctrl-Z and Ctrl-\ work until the terminal is raw, and neither may stop a kiosk.
    for number in (signal.SIGTSTP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    if sys.argv[1:2] in (["run"], ["demo"]):
        # The broker gets its socket from systemd; a kiosk gets nothing.
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    given = dict(os.environ)
    wanted = environment(given)
    well_started = sys.flags.safe_path and sys.flags.no_user_site and not sys.flags.ignore_environment
    if given != wanted or not well_started:
        os.execve(sys.executable, [sys.executable, *_FLAGS, "-m", "kiosk", *sys.argv[1:]], wanted)  # noqa: S606
    from kiosk.process.hardening import harden

    # Before anything else is imported: until then a process of the same user could attach to this one.
    harden()
    from kiosk.cli.fast_path import run_directly

    if (code := run_directly(sys.argv[1:])) is not None:
        sys.exit(code)
    from kiosk.cli.main import cli

    cli(prog_name="kiosk")


if __name__ == "__main__":
    main()
