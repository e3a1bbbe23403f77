"""Scope purge: rows of what is no longer in scope are removed from the mirror; the catalog and targets hear nothing."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Container
from service.kinds import THINGS
from service.mirror.bulk import key_in
from service.mirror.store import Store
from service.mirror.tables import (
    HISTORIES,
    assets,
    containers,
    data_profiles,
    profile_classes,
    profile_documents,
    profile_drift,
    profile_runs,
    quality_assertions,
    refreshes,
    sync_states,
    things,
    usage_facts,
)
from service.mirror.views import asset_column
from service.mirror.writer import PART_TABLES
from service.settings.scope import Scope

#: Rows of one transaction.
_ROWS = 1000


async def outside(connection: AsyncConnection, scope: Scope) -> dict[str, int]:
    """How many rows of each table are out of scope."""
    counts: dict[str, int] = {}
    places = await _places_outside(connection, scope)
    for name, table in _tables().items():
        query = sa.select(sa.func.count()).select_from(table).where(_in_places(connection, table, places))
        counts[name] = int((await connection.execute(query)).scalar_one())
    types = await _types_outside(connection, scope)
    query = sa.select(sa.func.count()).select_from(assets).where(_of_types(connection, types, places))
    counts["assets"] += int((await connection.execute(query)).scalar_one())
    return {name: number for name, number in counts.items() if number}


async def purge(store: Store, scope: Scope) -> int:
    """Remove them; answers how many rows went. Containers go last, by which the rest is found after an interruption."""
    async with store.read() as connection:
        places = await _places_outside(connection, scope)
        types = await _types_outside(connection, scope)
    gone = 0
    while True:
        async with store.write() as connection:
            condition = sa.or_(_in_places(connection, assets, places), _of_types(connection, types, places))
            ids = (await connection.execute(sa.select(assets.c.asset_id).where(condition).limit(_ROWS))).scalars().all()
            for column in (*_OF_ASSETS, assets.c.asset_id):
                result = await connection.execute(sa.delete(column.table).where(key_in(connection, column, ids)))
                gone += int(result.rowcount)
        if len(ids) < _ROWS:
            break
    for table in _tables().values():
        async with store.write() as connection:
            if table is not assets:
                result = await connection.execute(sa.delete(table).where(_in_places(connection, table, places)))
                gone += int(result.rowcount)
    async with store.write() as connection:
        there = sa.exists().where(data_profiles.c.profile_id == profile_classes.c.profile_id)
        gone += int((await connection.execute(sa.delete(profile_classes).where(~there))).rowcount)
    return gone


#: Columns with the id of the asset that a row belongs to.
_OF_ASSETS = (
    *(table.c.asset_id for table in PART_TABLES),
    data_profiles.c.asset_id,
    profile_runs.c.asset_id,
    profile_drift.c.asset_id,
    usage_facts.c.asset_id,
    quality_assertions.c.asset_id,
    *(things[kind.name].c[kind.asset] for kind in THINGS.values() if kind.asset),
    *(table.c[asset] for kind, table in HISTORIES.items() if (asset := asset_column(kind))),
)


def _tables() -> dict[str, sa.Table]:
    tables = (
        assets,
        data_profiles,
        profile_documents,
        profile_runs,
        *things.values(),
        *HISTORIES.values(),
        refreshes,
        sync_states,
        containers,
    )
    return {table.name: table for table in tables}


async def _places_outside(connection: AsyncConnection, scope: Scope) -> list[str]:
    rows = await connection.execute(sa.select(containers.c.kind, containers.c.container_id))
    return [row[1] for row in rows if not scope.admits_container(Container(row[0], row[1]))]


async def _types_outside(connection: AsyncConnection, scope: Scope) -> list[str]:
    rows = await connection.execute(sa.select(assets.c.asset_type).distinct())
    return [row[0] for row in rows if row[0] is not None and not scope.admits_type(row[0])]


def _in_places(connection: AsyncConnection, table: sa.Table, places: list[str]) -> sa.ColumnElement[bool]:
    return key_in(connection, table.c.container_id, places)


def _of_types(connection: AsyncConnection, types: list[str], places: list[str]) -> sa.ColumnElement[bool]:
    elsewhere = sa.or_(assets.c.container_id.is_(None), sa.not_(key_in(connection, assets.c.container_id, places)))
    return sa.and_(key_in(connection, assets.c.asset_type, types), elsewhere)
