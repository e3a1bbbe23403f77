"""What the mirror has of what a sweep reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from service.catalog.listings import Parent
from service.changes import Container
from service.kinds import Kind
from service.mirror.bulk import rows_by_key
from service.mirror.store import Store
from service.mirror.tables import VERSIONED, assets, key_of
from service.sync.readings import Told

#: Rows of the mirror that are looked through at once.
ROWS = 5000


async def versions(store: Store, told: Iterable[Told]) -> dict[str, dict[str, Any]]:
    """Version and tombstone of what is told of, by kind and key; of artifacts, which version it is in the glossary."""
    keys: dict[str, list[str]] = {}
    for one in told:
        keys.setdefault(one.kind, []).append(one.key)
    found: dict[str, dict[str, Any]] = {}
    if keys:
        async with store.reading() as connection:
            for kind, wanted in keys.items():
                table = VERSIONED[kind]
                key = key_of(table).name
                names = ("version", "deleted_at", *(("version_id",) if kind == "artifact" else ()))
                found[kind] = await rows_by_key(connection, table, key, wanted, *names)
    return found


async def pieces(store: Store, query: sa.Select[Any], key: sa.Column[Any]) -> AsyncIterator[Sequence[Any]]:
    """The rows of a query, `ROWS` at a time; the key is its first column, and sorts them."""
    last = ""
    while True:
        async with store.reading() as connection:
            rows = (await connection.execute(query.where(key > last).order_by(key).limit(ROWS))).all()
        yield rows
        if len(rows) < ROWS:
            return
        last = rows[-1][0]


async def parents(store: Store, kind: Kind, where: Container | None, after: str | None) -> AsyncIterator[Parent]:
    """What a kind is listed below, in the order of their ids, from after one of them."""
    table = VERSIONED[str(kind.parent)]
    key = key_of(table)
    types = table.c.asset_type if table is assets else table.c.get("artifact_type")
    query = sa.select(key, sa.null() if types is None else types).where(*mirrored(table, where), key > (after or ""))
    if kind.parent_type and types is not None:
        query = query.where(types == kind.parent_type)
    async for rows in pieces(store, query, key):
        for row in rows:
            yield Parent(row[0], row[1])


async def count(store: Store, kind: str, where: Container | None) -> int:
    """How many of a kind the mirror has."""
    table = VERSIONED[kind]
    query = sa.select(sa.func.count()).select_from(table).where(*mirrored(table, where))
    async with store.reading() as connection:
        number: int = (await connection.execute(query)).scalar_one()
    return number


def mirrored(table: sa.Table, where: Container | None) -> list[sa.ColumnElement[bool]]:
    """Rows of the mirror that the catalog is expected to have: no tombstones, and nothing that is only referred to."""
    known: sa.ColumnElement[bool] = table.c.document.is_not(None)
    if table is assets:
        known = sa.or_(known, table.c.name.is_not(None))
    conditions: list[sa.ColumnElement[bool]] = [table.c.deleted_at.is_(None), known]
    if where is not None:
        conditions.append(table.c.container_id == where.id)
    return conditions
