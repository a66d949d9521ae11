"""Lets the operator accept a record that was rolled back, or whose key was replaced, with a row that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, inspect, select

from kiosk.broker.audit.anchors import anchors
from kiosk.broker.audit.source import database
from kiosk.broker.audit.verify import verify
from kiosk.broker.record.checkpoints import InvalidSignature, Signing, public_keys
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.files import signing_of
from kiosk.broker.record.head import COLUMNS, Head, Seen
from kiosk.broker.record.ledger import Ledger
from kiosk.broker.record.schema import HEAD, LOSS, NEW_KEY, RECORD, SINK, Entry, Event
from kiosk.broker.record.sink_offset import sign_all
from kiosk.clock import Clock
from kiosk.config.broker import RecordSettings
from kiosk.errors import ConfigError


def accept_loss(settings: RecordSettings, public_key: Path | None, copies: Path | None, clock: Clock) -> str:
    """Append that the record is accepted as it is now, and return what that means. Raises ConfigError.

    ``public_key`` names the keys that signed it until now, ``copies`` the anchors that tell how much is lost.
    """
    signing = signing_of(settings)
    keys = [*public_keys(public_key), signing.signer.public] if public_key else [signing.signer.public]
    with database(settings.database) as source, anchors(None, keys) as none:
        verdict = verify(source, keys, none)
    if not verdict.holds:
        raise _refused(f"the remaining record does not hold: {verdict.says}; restore a copy that does")
    with anchors(copies, keys) as known:
        last = max(known, default=None)
    # The file stays as it is: the broker adopts what was accepted, and the file is its own.
    ledger = Ledger(clock, replace(signing, seen=None))
    ledger.seen.head = Seen.load(signing.seen, keys).head
    engine = open_engine(settings.database)
    try:
        with ledger.transaction(engine) as connection:
            return _accept(ledger, connection, keys, last, signing)
    finally:
        engine.dispose()


def _accept(
    ledger: Ledger,
    connection: Connection,
    keys: Sequence[Ed25519PublicKey],
    anchor: tuple[int, str] | None,
    signing: Signing,
) -> str:
    head, seen = Head(*connection.execute(select(*COLUMNS).where(HEAD.c.id == 1).with_for_update()).one()), ledger.seen
    if not _is_signed(head, keys):
        raise _refused("no broker wrote its head")
    known = [anchor] if anchor else []
    if seen.head:
        if seen.head.origin != head.origin:
            raise _refused(f"this is another record, {head.origin}, not {seen.head.origin}")
        if seen.objection(head, _there(connection, seen.head.n)):
            known.append((seen.head.n, seen.head.hash))
    lost = max((row for row in known if _there(connection, row[0]) != row[1]), default=None)
    if lost:
        rows = f"rows {head.n + 1} to {max(lost[0], head.n + 1)} are lost"
        entry = Entry(Event.ACCEPTED, LOSS, digest=lost[1], detail=rows)
        head = replace(head, losses=max(head.losses, seen.head.losses if seen.head else 0) + 1)
    elif _is_signed(head, [signing.signer.public]):
        raise _refused("there is nothing to accept: nothing is missing from the record")
    else:
        entry = Entry(Event.ACCEPTED, NEW_KEY, detail=f"signed with {signing.signer.id} from now on")
    if inspect(connection).has_table(SINK.name):
        # Sinks that have rows which were lost get the rows that take their numbers.
        sign_all(connection, head, signing.signer, keys)
    ledger.accept(connection, head, entry)
    return entry.detail


def _is_signed(head: Head, keys: Sequence[Ed25519PublicKey]) -> bool:
    try:
        head.check(keys)
    except InvalidSignature:
        return False
    return True


def _there(connection: Connection, n: int) -> str | None:
    return connection.scalar(select(RECORD.c.hash).where(RECORD.c.n == n))


def _refused(why: str) -> ConfigError:
    return ConfigError("the record", why)
