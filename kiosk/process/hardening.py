"""What a process of ours is allowed to be: undumpable, untraceable by its own user, gone with its parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys

# glibc's mallopt(3).
_M_PERTURB = -6
_OVERWRITE_WITH = 0xA5
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_MCL_CURRENT = 1
_MCL_FUTURE = 2
# Only pages that are touched: the stacks of threads would otherwise be locked whole.
_MCL_ONFAULT = 4


def harden() -> None:
    """No core dumps and no tracing. Core files are stopped by the limit, cores piped to a program by the flag."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)


def overwrite_freed() -> None:
    """Have the C library overwrite every block that is freed from now on. Called before anything secret comes.

    At start-up alone it would cost a tenth of the time; nothing that is freed there is secret.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # another C library than glibc
            ctypes.CDLL(None).mallopt(_M_PERTURB, _OVERWRITE_WITH)


def lock_memory() -> None:
    """Keep this process out of swap, where the system sets no limit on locked memory; below a limit, do nothing.

    With a limit every later allocation could fail, which would be worse than a page of swap.
    """
    if sys.platform == "linux" and resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when ``parent`` ends, however that happens."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
