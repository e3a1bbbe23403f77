"""Rebuilding: columns are derived again from the documents that are there, after the code that derives them changed.

Versions, tombstones and documents stay; the catalog is not asked. One transaction per batch, beside a running service:
a row that got another version meanwhile was derived by the new code anyway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import AssetSaved, Change, ProfileSaved
from service.errors import DataError
from service.events.stored import change_of
from service.mirror.planning import plan_of
from service.mirror.profiling import classes
from service.mirror.store import Store
from service.mirror.tables import MAPPING, STATES, key_of
from service.mirror.writer import INSERTS, replace_parts

#: Rows of one transaction.
_ROWS = 500


async def rebuild(store: Store, *, everything: bool = False) -> AsyncIterator[tuple[str, int]]:
    """Derive the columns again, of rows that an older mapping made or of all; yields kind and number by batch."""
    for kind, table in STATES.items():
        key = key_of(table)
        query = sa.select(table).where(table.c.document.is_not(None)).order_by(key).limit(_ROWS)
        if not everything:
            query = query.where(table.c.mapping < MAPPING)
        last = ""
        while True:
            async with store.write() as connection:
                rows = (await connection.execute(query.where(key > last))).all()
                if rows:
                    last = rows[-1]._mapping[key.name]
                    await _derive(connection, kind, table, rows)
            if rows:
                yield kind, len(rows)
            if len(rows) < _ROWS:
                break


async def _derive(connection: AsyncConnection, kind: str, table: sa.Table, rows: Iterable[Any]) -> None:
    key = key_of(table)
    insert = INSERTS[kind]
    changes: list[Change] = []
    for row in rows:
        try:
            change = change_of(kind, row._mapping, key.name)
        except DataError:
            continue  # what could not be read then is kept as it is
        values = _row_of(kind, change)
        told = dict(zip(insert.columns, values, strict=True))
        kept = {name: told[name] for name in insert.columns if name not in (key.name, *_STAYS)}
        same = sa.and_(key == row._mapping[key.name], table.c.version == row.version)
        updated = await connection.execute(sa.update(table).where(same).values(**kept, mapping=MAPPING))
        if updated.rowcount:
            changes.append(change)
    states = [change for change in changes if isinstance(change, AssetSaved)]
    await replace_parts(connection, states, [state.asset_id for state in states])
    profiles = [change for change in changes if isinstance(change, ProfileSaved)]
    await classes.replace(connection, profiles, [profile.profile_id for profile in profiles])


#: What rebuilding never touches.
_STAYS = ("version", "version_at", "deleted_at", "document")


def _row_of(kind: str, change: Change) -> tuple[Any, ...]:
    plan = plan_of([(0, change)])
    by_kind = {"container": plan.containers, "asset": plan.assets, "data_profile": plan.data_profiles, **plan.things}
    (row,) = [row for row in by_kind[kind].values() if row.change is change]
    return tuple(row.values)
