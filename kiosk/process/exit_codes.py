"""Exit codes of all programs; ``docs/startup.md`` lists them. Those from 64 to 78 are from sysexits.h.

Some are only for the supervisor: a visit ends with them, the program never does.
"""

from __future__ import annotations

import signal

EXIT_DONE = 0
# The record is not intact, or a check failed.
EXIT_FAILED = 1
# Nothing was started: the command line, or a file of the operator, is invalid. click uses the same code.
EXIT_CONFIGURATION = 2
# For the supervisor: somebody ended the demo.
EXIT_ENOUGH = 3
# For the supervisor: the visit ended in order but without a network, so the next one probes for it.
EXIT_DISTURBED = 4
# For the supervisor: before anybody began, somebody asked for the other UI.
EXIT_OTHER_UI = 5
EXIT_NO_TERMINAL = 66
EXIT_CRASH = 70
# The event loop missed its deadlines.
EXIT_STUCK = 75
# The terminal is gone.
EXIT_LOST = 128 + signal.SIGHUP
