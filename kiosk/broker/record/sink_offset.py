"""How far a sink has got, signed with the broker's key: nobody else can make a sink skip rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, select, update

from kiosk.broker.record.checkpoints import InvalidSignature, Signer, check_signature
from kiosk.broker.record.head import Head
from kiosk.broker.record.schema import SINK


@dataclass(frozen=True)
class SinkOffset:
    """The last row and the last checkpoint that a sink has.

    An earlier offset that is put back still holds: the sink gets rows again, and misses none.
    """

    name: str
    n: int = 0
    size: int = 0
    signature: str = ""

    def signed_by(self, origin: str, signer: Signer) -> SinkOffset:
        """Return the offset, in the record of this name, with a signature."""
        return replace(self, signature=signer.signature(origin, self._body(origin)))

    def holds(self, origin: str, keys: Sequence[Ed25519PublicKey]) -> bool:
        """Whether one of the keys signed it, or it says that nothing was delivered."""
        if (self.n, self.size) == (0, 0):
            return True
        try:
            check_signature(origin, self._body(origin), self.signature, keys)
        except InvalidSignature:
            return False
        return True

    def _body(self, origin: str) -> str:
        # The name comes last, because it may be any text.
        return f"{origin}\noffset of a sink\n{self.n}\n{self.size}\n{self.name}\n"


COLUMNS = tuple(SINK.c[name] for name in SinkOffset.__dataclass_fields__)


def sign_all(
    connection: Connection, head: Head, signer: Signer, keys: Sequence[Ed25519PublicKey] | None = None
) -> None:
    """Sign the offsets of all sinks, none of them beyond the end of the record.

    With ``keys``, only those that one of them signed.
    """
    for found in connection.execute(select(*COLUMNS)).all():
        offset = SinkOffset(*found)
        if keys is None or offset.holds(head.origin, keys):
            back = replace(offset, n=min(offset.n, head.n), size=min(offset.size, head.signed))
            signed = back.signed_by(head.origin, signer)
            values = {"n": signed.n, "size": signed.size, "signature": signed.signature}
            connection.execute(update(SINK).where(SINK.c.name == offset.name).values(values))
