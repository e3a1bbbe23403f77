"""What people did, and why: the audit log, read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror import audit
from service.mirror.store import Store


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that somebody did."""

    #: The place in the log; a later one is larger.
    seq: int
    at: datetime
    who: str
    #: Such as `dead_letter.edit`.
    action: str
    #: What it was done to.
    subject: str
    reason: str | None
    #: More about it, by which way it came (`way`) among it.
    detail: dict[str, Any] | None


async def entries(
    store: Store, subject: str | None = None, action: str | None = None, limit: int = 50, before: int | None = None
) -> list[Entry]:
    """Entries, the newest first.

    Args:
        subject: only what was done to this.
        action: only this action, or family of actions such as `dead_letter`.
        before: only those before this place in the log.
    """
    async with store.reading() as connection:
        return await read(connection, subject, action, limit, before)


async def read(
    connection: AsyncConnection,
    subject: str | None = None,
    action: str | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[Entry]:
    """The same within a transaction."""
    rows = await audit.entries(connection, subject, action, limit, before)
    return [
        Entry(row.seq, row.at, row.who, row.action, row.subject, row.reason, json.loads(row.detail or "null"))
        for row in rows
    ]
