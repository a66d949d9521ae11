"""Finds programs that may be recording or watching this terminal, as far as this process can see them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kiosk.config.kiosk import Policy, RecorderPolicies

_PROC = Path("/proc")
# Process names as the kernel shows them (at most 15 characters), and the kind of each.
_KINDS = {
    "script": "script",
    "asciinema": "asciinema",
    "tlog-rec": "tlog",
    "tlog-rec-sessio": "tlog",
    "sudo": "sudo",
    "tmux": "tmux",
    "tmux: server": "tmux",
    "screen": "screen",
    "SCREEN": "screen",
}
_STRICTNESS = (Policy.ALLOW, Policy.WARN, Policy.MASK, Policy.REFUSE)
_MOST_ANCESTORS = 64


@dataclass(frozen=True)
class Recorders:
    """The kinds of recorders that were found, and the strictest of their policies."""

    kinds: tuple[str, ...] = ()
    policy: Policy = Policy.ALLOW

    @property
    def warns(self) -> bool:
        """Whether to warn the person."""
        return self.policy is not Policy.ALLOW

    @property
    def masks(self) -> bool:
        """Whether to show only one group of the key at a time."""
        return self.policy in {Policy.MASK, Policy.REFUSE}

    def __str__(self) -> str:
        return ", ".join(self.kinds)


def find_recorders(policies: RecorderPolicies, tty: str, environment: Mapping[str, str] | None = None) -> Recorders:
    """Return the recorders found: among parent processes, in the environment, or tracing this process.

    Cannot find a recorder in the SSH server, or at the other end of the terminal.
    """
    environment = os.environ if environment is None else environment
    found = {_KINDS[name] for name in _ancestors() if name in _KINDS}
    if environment.get("TERM", "").startswith("tmux"):
        found.add("tmux")
    ssh_tty = environment.get("SSH_TTY", "").removeprefix("/dev/")
    if ssh_tty and ssh_tty != tty:
        found.add("other_tty")
    if _tracer() != "0":
        found.add("debugger")
    kinds = tuple(sorted(found))
    return Recorders(
        kinds, max((getattr(policies, kind) for kind in kinds), key=_STRICTNESS.index, default=Policy.ALLOW)
    )


def _ancestors() -> list[str]:
    names: list[str] = []
    pid = os.getppid()
    while pid > 1 and len(names) < _MOST_ANCESTORS:
        try:
            names.append((_PROC / str(pid) / "comm").read_text().strip())
            # The name in this file may contain brackets; the fields after its closing bracket do not.
            pid = int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return names


def _tracer() -> str:
    try:
        status = (_PROC / "self" / "status").read_text()
    except OSError:
        return "0"
    return status.partition("TracerPid:")[2].split("\n")[0].strip() or "0"
