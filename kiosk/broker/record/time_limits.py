"""Time limits of the record's database. ``docs/operations.md`` lists them.

Each is shorter than the next, so that the cause closest to the problem is the one that is reported: a broker that froze
lets go of the head before the others give up waiting, and the server gives up before its client does.
"""

from __future__ import annotations

# A broker that freezes or is cut off in the middle of a transaction holds the lock on the head for this long.
IDLE_SECONDS: float = 1
# Waiting for the lock on the head.
BUSY_SECONDS: float = 2
# One statement, on the server.
STATEMENT_SECONDS: float = 5
# One answer of the server, on the client. A server that hangs is left then.
ANSWER_SECONDS: float = 8
# One attempt to connect to one address.
CONNECT_SECONDS = 5
# A write with all of this, after which its request is refused.
WRITE_SECONDS: float = 10


def on_server() -> dict[str, float]:
    """Return the settings of PostgreSQL that limit a transaction, in seconds."""
    return {
        "idle_in_transaction_session_timeout": IDLE_SECONDS,
        "lock_timeout": BUSY_SECONDS,
        "statement_timeout": STATEMENT_SECONDS,
    }
