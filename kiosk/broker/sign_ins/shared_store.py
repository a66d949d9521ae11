"""Keeps the sign-ins of all brokers on one PostgreSQL database: one may begin what another confirms.

What is kept is encrypted, and names are hashed, with keys that only the brokers have: who can read the database learns
no link, no digits and no person from it. Rows are deleted when a sign-in is over.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import SQLAlchemyError

from kiosk.broker.record.database import open_engine, unavailable
from kiosk.broker.record.schema import SIGN_IN, SIGN_IN_NAME
from kiosk.broker.record.shared_time import SharedTime
from kiosk.broker.sign_ins.sign_in import SignIn
from kiosk.broker.sign_ins.store import MOST, Result
from kiosk.errors import KioskError, PhoneSignInUnknown, SignInLimit

_NONCE_BYTES = 12
_MOST_DUE = 100
# A sweep comes every few seconds: what is still there after this was written with another key or by another version.
_LEFT_BEHIND_SECONDS = 600.0

_Found = TypeVar("_Found")


class SharedStore:
    """Sign-ins in a database. ``derived`` returns a key for a purpose, the same for all brokers; ``time`` is theirs."""

    def __init__(self, url: str, derived: Callable[[str], bytes], time: SharedTime, most: int = MOST) -> None:
        """Open no connection yet. Raises ConfigError."""
        self._engine = open_engine(url, writes=False, tells=time.tell)
        self._time = time
        self._most = most
        self._cipher = AESGCM(derived("sign-ins"))
        self._name_key = derived("names of sign-ins")
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="sign-ins")

    def now(self) -> float:
        return self._time.utc().timestamp()

    async def add(self, sign_in: SignIn, names: Sequence[str], seconds: float) -> None:
        def work(connection: Connection) -> None:
            if (connection.scalar(select(func.count()).select_from(SIGN_IN)) or 0) >= self._most:
                raise SignInLimit(f"{self._most} sign-ins are under way")
            row = {"id": sign_in.id, "until": sign_in.until, "content": self._sealed(sign_in)}
            connection.execute(insert(SIGN_IN).values(row))
            until = self.now() + seconds
            rows = [{"name": self._hashed(name), "id": sign_in.id, "until": until} for name in names]
            connection.execute(insert(SIGN_IN_NAME).values(rows))

        await self._run(work)

    async def change(self, sign_in_id: str, work: Callable[[SignIn], Result]) -> Result:
        row = SIGN_IN.c.id == sign_in_id

        def locked(connection: Connection) -> Result | KioskError:
            found = connection.scalar(select(SIGN_IN.c.content).where(row).with_for_update())
            sign_in = self._opened(sign_in_id, found)
            before = msgspec.msgpack.encode(sign_in)
            try:
                return work(sign_in)
            except KioskError as error:
                # Not raised here: what was changed is kept.
                return error
            finally:
                if sign_in.is_forgotten(self.now()):
                    connection.execute(delete(SIGN_IN).where(row))
                elif msgspec.msgpack.encode(sign_in) != before:
                    values = {"until": sign_in.until, "content": self._sealed(sign_in)}
                    connection.execute(update(SIGN_IN).where(row).values(values))

        result = await self._run(locked)
        if isinstance(result, KioskError):
            raise result
        return result

    async def find(self, name: str) -> str:
        return await self._run(lambda connection: self._found(connection, name))

    async def lead(self, name: str, sign_in_id: str, seconds: float) -> str:
        def work(connection: Connection) -> str:
            before = self._found(connection, name)
            leads = self._leading(name, sign_in_id, seconds)
            new = {"id": leads.excluded.id, "until": leads.excluded.until}
            connection.execute(leads.on_conflict_do_update(index_elements=[SIGN_IN_NAME.c.name], set_=new))
            return before

        return await self._run(work)

    async def claim(self, name: str, sign_in_id: str, seconds: float) -> bool:
        def work(connection: Connection) -> bool:
            leads = self._leading(name, sign_in_id, seconds)
            new = {"id": leads.excluded.id, "until": leads.excluded.until}
            free = (SIGN_IN_NAME.c.until <= self.now()) | (SIGN_IN_NAME.c.id == leads.excluded.id)
            ours = leads.on_conflict_do_update(index_elements=[SIGN_IN_NAME.c.name], set_=new, where=free)
            return connection.execute(ours.returning(SIGN_IN_NAME.c.id)).first() is not None

        return await self._run(work)

    async def due(self) -> Sequence[str]:
        def work(connection: Connection) -> Sequence[str]:
            now = self.now()
            connection.execute(delete(SIGN_IN_NAME).where(SIGN_IN_NAME.c.until <= now))
            connection.execute(delete(SIGN_IN).where(SIGN_IN.c.until <= now - _LEFT_BEHIND_SECONDS))
            # The newest first: what cannot be read does not keep others waiting.
            found = select(SIGN_IN.c.id).where(SIGN_IN.c.until <= now).order_by(SIGN_IN.c.until.desc())
            return connection.scalars(found.limit(_MOST_DUE)).all()

        return await self._run(work)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._worker, self._engine.dispose)
        self._worker.shutdown(wait=False)

    async def _run(self, work: Callable[[Connection], _Found]) -> _Found:
        """Run ``work`` in a transaction, in the thread of the store. Raises RecordUnavailable."""

        def transaction() -> _Found:
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except SQLAlchemyError as error:
                raise unavailable(error) from None

        return await asyncio.get_running_loop().run_in_executor(self._worker, transaction)

    def _found(self, connection: Connection, name: str) -> str:
        leads = (SIGN_IN_NAME.c.name == self._hashed(name)) & (SIGN_IN_NAME.c.until > self.now())
        return connection.scalar(select(SIGN_IN_NAME.c.id).where(leads)) or ""

    def _leading(self, name: str, sign_in_id: str, seconds: float) -> Insert:
        return insert(SIGN_IN_NAME).values(name=self._hashed(name), id=sign_in_id, until=self.now() + seconds)

    def _hashed(self, name: str) -> str:
        return hmac.digest(self._name_key, name.encode(), "sha256").hex()

    def _sealed(self, sign_in: SignIn) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, msgspec.msgpack.encode(sign_in), sign_in.id.encode())

    def _opened(self, sign_in_id: str, content: bytes | None) -> SignIn:
        """Return a sign-in as it was kept. Raises PhoneSignInUnknown, also for what no broker of ours has written."""
        if content is None:
            raise PhoneSignInUnknown("no such sign-in")
        nonce, sealed = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
        try:
            return msgspec.msgpack.decode(self._cipher.decrypt(nonce, sealed, sign_in_id.encode()), type=SignIn)
        except (InvalidTag, ValueError, msgspec.MsgspecError) as error:
            raise PhoneSignInUnknown(f"kept with another key or by another version: {type(error).__name__}") from None
