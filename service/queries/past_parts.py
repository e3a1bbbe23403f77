"""What belonged to assets at a moment (columns, terms, …), made again of the documents that they had then.

Histories keep no rows of these: each state of an asset says all of them in its document, as `mirror rebuild` reads it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import AssetSaved
from service.errors import DataError
from service.events.stored import change_of
from service.mirror.bulk import BulkInsert
from service.mirror.tables import assets
from service.mirror.writer import ASSET_PARTS

#: Documents that are read together.
_ROWS = 500
#: The views that show parts, each with the table of its rows.
PARTS: dict[str, str] = {f"v1_{insert.table.name}": insert.table.name for insert, _ in ASSET_PARTS}
#: The states of assets at the moment, where `assets` is covered.
_NAMES = ("asset_id", "container_kind", "container_id", "version", "document")
_STATES = sa.text(
    f"SELECT {', '.join(_NAMES)} FROM assets past_assets "  # noqa: S608 (names of ours)
    "WHERE asset_id > :last AND deleted_at IS NULL AND document IS NOT NULL ORDER BY asset_id LIMIT :rows"
).columns(*(sa.column(name, assets.c[name].type) for name in _NAMES))


async def fill(connection: AsyncConnection, views: Collection[str]) -> Mapping[str, str]:
    """Fill temporary tables with the parts that these views show, of all assets that there are where it is asked.

    Answers by which query each table is to be covered. A document that this code does not understand has no parts.
    """
    wanted = {PARTS[view] for view in views if view in PARTS}
    if not wanted:
        return {}
    where = _TEMPORARY[connection.dialect.name]
    made = [(_made_of(insert, where), rows) for insert, rows in ASSET_PARTS if insert.table.name in wanted]
    for insert, _ in made:
        await connection.execute(sa.schema.CreateTable(insert.table))
    last = ""
    while True:
        found = (await connection.execute(_STATES, {"last": last, "rows": _ROWS})).all()
        states = [state for row in found if (state := _state(row._mapping)) is not None]
        for insert, rows in made:
            await insert.run(connection, [one for state in states for one in rows(state)])
        if len(found) < _ROWS:
            break
        last = found[-1].asset_id
    return {name: f"SELECT * FROM past_{name}" for name in wanted}  # noqa: S608 (names of ours)


#: Where temporary tables are.
_TEMPORARY = {"postgresql": "pg_temp", "sqlite": "temp"}


def _made_of(insert: BulkInsert, where: str) -> BulkInsert:
    """The same into a temporary table, by a name of its own: sessions keep statements on the present one prepared."""
    columns = (sa.Column(one.name, one.type, primary_key=one.primary_key) for one in insert.table.c)
    name = f"past_{insert.table.name}"
    return replace(insert, table=sa.Table(name, sa.MetaData(), *columns, schema=where, prefixes=["TEMPORARY"]))


def _state(row: Any) -> AssetSaved | None:
    try:
        told = change_of("asset", row, "asset_id")
    except DataError:
        return None
    return told if isinstance(told, AssetSaved) else None
