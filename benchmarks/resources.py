"""Read memory and processor time of processes from the kernel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_MIB_PER_KIB = 1 / 1024


def children(pid: int) -> list[int]:
    """Return the child processes of a process."""
    return [int(child) for task in _tasks(pid) for child in (task / "children").read_text(encoding="ascii").split()]


def _tasks(pid: int) -> Iterable[Path]:
    return (_PROC / str(pid) / "task").iterdir()


class Memory(NamedTuple):
    """Memory in MiB. RSS counts shared pages in full, PSS divided by the number of sharers, USS not at all."""

    resident: float
    proportional: float
    unique: float


def memory(pids: Iterable[int]) -> Memory:
    """Return the sum for these processes. Raises PermissionError if only root may read it, as for the kiosk."""
    resident = proportional = unique = 0.0
    for pid in pids:
        fields = _fields(_PROC / str(pid) / "smaps_rollup")
        resident += fields["Rss"]
        proportional += fields["Pss"]
        unique += fields["Private_Clean"] + fields["Private_Dirty"]
    return Memory(*(kib * _MIB_PER_KIB for kib in (resident, proportional, unique)))


@dataclass(frozen=True)
class Activity:
    """Processor time and wake-ups of processes since they started."""

    cpu_seconds: float
    wakeups: int

    def since(self, before: Activity) -> Activity:
        return Activity(self.cpu_seconds - before.cpu_seconds, self.wakeups - before.wakeups)


def activity(pids: Iterable[int]) -> Activity:
    """Return the sum for all threads of these processes, from the scheduler's nanosecond clock."""
    nanoseconds = wakeups = 0
    for pid in pids:
        for task in _tasks(pid):
            nanoseconds += int((task / "schedstat").read_text(encoding="ascii").split()[0])
            wakeups += _fields(task / "status")["voluntary_ctxt_switches"]
    return Activity(nanoseconds / 1e9, wakeups)


def _fields(file: Path) -> dict[str, int]:
    """Return the numbers in a kernel file, by name."""
    found = {}
    for line in file.read_text(encoding="ascii", errors="replace").splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()[:1]
        if number and number[0].isdigit():
            found[name] = int(number[0])
    return found
