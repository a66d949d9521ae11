"""Hardens a process: no core dumps, no tracing by its own user, no life after its parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys

# glibc's mallopt(3).
_M_PERTURB = -6
_OVERWRITE_WITH = 0xA5
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_MCL_CURRENT = 1
_MCL_FUTURE = 2
# Lock only pages that are touched. Otherwise the whole stack of each thread would be locked.
_MCL_ONFAULT = 4


def harden() -> None:
    """Forbid core dumps and tracing. The limit stops core files; the flag stops tracing and piped cores."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)


def overwrite_freed() -> None:
    """Have the C library overwrite every block that is freed from now on. Call it before the first secret.

    Not called at the start of the process: it would add a tenth to the start-up time, and no secret is freed then.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # a C library other than glibc
            ctypes.CDLL(None).mallopt(_M_PERTURB, _OVERWRITE_WITH)


def lock_memory() -> None:
    """Keep this process out of swap, unless the system limits locked memory.

    With a limit, any later allocation could fail, which would be worse than a page in swap.
    """
    if sys.platform == "linux" and resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` ends for any reason."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def wait_for_end(process: int, seconds: float) -> None:
    """Wait until a process has ended that need not be a child, or until the time is over."""
    if not hasattr(os, "pidfd_open"):
        return
    with contextlib.suppress(ProcessLookupError):
        gone = os.pidfd_open(process)
        try:
            select.select([gone], [], [], seconds)
        finally:
            os.close(gone)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
