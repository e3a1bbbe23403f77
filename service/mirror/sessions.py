"""Who has signed in at the console. The store holds hashes alone: with a copy of it nobody comes in."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.mirror.clock import store_now
from service.mirror.store import Store
from service.mirror.tables import sessions
from service.text.documents import column_text

#: Random bytes of what the browser holds.
_BYTES = 32
#: Seconds after which it is written down again that a session was used.
_SEEN_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in; `session_id` is a hash, which opens nothing."""

    session_id: str
    who: str
    scopes: frozenset[str]
    proof: str
    began_at: datetime
    seen_at: datetime
    ends_at: datetime


def id_of(held: str) -> str:
    """The id of a session, by what the browser holds."""
    return hashlib.sha256(held.encode("utf-8", "surrogatepass")).hexdigest()


async def begin(store: Store, who: str, scopes: Iterable[str], proof: str, lasts_s: float) -> str:
    """Begin a session; answers what the browser is to hold, which is written nowhere."""
    held = secrets.token_urlsafe(_BYTES)
    now = store_now(store.dialect)
    values = {
        "session_id": id_of(held), "who": column_text(who), "scopes": " ".join(sorted(scopes)), "proof": proof,
        "began_at": now, "seen_at": now, "ends_at": store.later(lasts_s),
    }  # fmt: skip
    async with store.writing() as connection:
        await connection.execute(sa.insert(sessions).values(values))
    return held


async def find(store: Store, held: str) -> Session | None:
    """The session of what a browser holds, unless it has ended."""
    mine = sessions.c.session_id == id_of(held)
    open_ = sessions.c.ends_at > store_now(store.dialect)
    async with store.reading() as connection:
        is_stale = (sessions.c.seen_at < store.later(-_SEEN_EVERY_S)).label("is_stale")
        row = (await connection.execute(sa.select(sessions, is_stale).where(mine, open_))).one_or_none()
    if row is None:
        return None
    if row.is_stale:
        async with store.writing() as connection:
            await connection.execute(sa.update(sessions).where(mine).values(seen_at=store_now(store.dialect)))
    return _session(row)


async def end(store: Store, session_id: str) -> Session | None:
    """End a session, by its id; answers it, or None where there was none."""
    async with store.writing() as connection:
        mine = sessions.c.session_id == session_id
        row = (await connection.execute(sa.select(sessions).where(mine))).one_or_none()
        await connection.execute(sa.delete(sessions).where(mine))
    return _session(row) if row else None


async def running(store: Store) -> list[Session]:
    """All sessions that have not ended, the newest first."""
    query = sa.select(sessions).where(sessions.c.ends_at > store_now(store.dialect))
    async with store.reading() as connection:
        rows = await connection.execute(query.order_by(sessions.c.began_at.desc(), sessions.c.session_id))
    return [_session(row) for row in rows]


def _session(row: sa.Row[tuple[object, ...]]) -> Session:
    told = row._mapping
    return Session(
        told["session_id"], told["who"], frozenset(told["scopes"].split()), told["proof"],
        told["began_at"], told["seen_at"], told["ends_at"],
    )  # fmt: skip
