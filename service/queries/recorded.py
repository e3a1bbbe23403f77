"""What the mirror holds as messages, each the reading that would tell it; `handlers.readings` takes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import sqlalchemy as sa

from service.changes import Rank, Version
from service.events.message import Message
from service.events.stored import beside
from service.mirror.store import Store
from service.mirror.tables import STATES, key_of
from service.text.documents import canonical

#: Rows that are read together.
_ROWS = 500
_RANKS = (Rank.LISTED, Rank.READ, Rank.EVENT)


async def readings(store: Store) -> AsyncIterator[Message]:
    """Every state that is there and has a document, kind by kind; containers and assets before what belongs to them."""
    for kind, table in STATES.items():
        key, last = key_of(table), ""
        while True:
            query = sa.select(table).where(key > last, table.c.deleted_at.is_(None), table.c.document.is_not(None))
            async with store.reading() as connection:
                rows = (await connection.execute(query.order_by(key).limit(_ROWS))).all()
            for row in rows:
                if message := _message(kind, row._mapping, key.name):
                    yield message
            if len(rows) < _ROWS:
                break
            last = rows[-1]._mapping[key.name]


def _message(kind: str, row: Any, key: str) -> Message | None:
    version = Version.from_key(row["version"])
    if version.rank not in _RANKS:
        return None
    where = {name: row[name] for name in ("container_kind", "container_id") if kind != "container"}
    told = {
        "id": row[key], "at_us": version.at_us, "rank": version.rank.name,
        "beside": {name: row[name] for name in beside(kind)}, **where,
    }  # fmt: skip
    head = canonical(told)[:-1].decode()
    return Message(f"mirror.{kind}.READING", f'{head},"document":{row["document"]}}}'.encode("utf-8", "surrogatepass"))
