"""Exit codes of every program. Those from 64 up follow sysexits.h; click exits with 2 on a usage error."""

from __future__ import annotations

import signal

EXIT_DONE = 0
# A record that does not verify, a check that failed.
EXIT_FAILED = 1
# Nothing was started: command line or configuration cannot be used.
EXIT_CONFIGURATION = 2
# Demo only: the person has left the program.
EXIT_ENOUGH = 3
# In good order, but the network was away at the end: the next visit looks for it.
EXIT_DISTURBED = 4
# Nobody has begun; somebody wants the first screen in the other form, full screen or linear.
EXIT_OTHER_UI = 5
EXIT_NO_TERMINAL = 66
EXIT_CRASH = 70
# The event loop no longer kept its deadlines.
EXIT_STUCK = 75
EXIT_LOST = 128 + signal.SIGHUP
