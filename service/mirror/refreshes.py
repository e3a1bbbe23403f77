"""Refresh requests: what has to be read again. One row per thing, however often it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import RefreshAsked
from service.mirror.bulk import store_clock
from service.mirror.tables import UtcTime, refreshes


async def ask(connection: AsyncConnection, requests: Iterable[RefreshAsked]) -> None:
    """Store the requests; one that is open already only counts another time, and the earlier moment stays."""
    newest: dict[tuple[str, str], RefreshAsked] = {}
    for request in requests:  # of two in one batch the one that is due first counts
        key = (request.kind, request.entity_id)
        if key not in newest or request.delay_s < newest[key].delay_s:
            newest[key] = request
    if not newest:
        return
    now = (
        await connection.execute(sa.select(sa.type_coerce(store_clock(connection.dialect.name), UtcTime)))
    ).scalar_one()
    rows = [
        {
            "kind": kind,
            "entity_id": entity_id,
            "container_kind": request.container.kind if request.container else None,
            "container_id": request.container.id if request.container else None,
            "reason": request.reason,
            "asked_at": now,
            "due_at": now + timedelta(seconds=request.delay_s),
        }
        for (kind, entity_id), request in sorted(newest.items())
    ]
    await connection.execute(_upsert(connection.dialect.name), rows)


def _upsert(dialect: str) -> Any:
    insert: Any = (postgresql if dialect == "postgresql" else sqlite).insert(refreshes)
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["kind", "entity_id"],
        set_={
            "times": refreshes.c.times + 1,
            "reason": new.reason,
            "container_kind": sa.func.coalesce(new.container_kind, refreshes.c.container_kind),
            "container_id": sa.func.coalesce(new.container_id, refreshes.c.container_id),
        },
    )
