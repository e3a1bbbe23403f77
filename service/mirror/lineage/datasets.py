"""Where the data of assets lies, and what their columns are: what names them to other tools."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import AssetColumn, Container
from service.mirror.bulk import among
from service.mirror.tables import asset_columns, assets, connections, things


@dataclass(frozen=True, slots=True)
class Located:
    """An asset, and where its data lies: of its connection and the path in it, as far as they are known."""

    asset_id: str
    name: str | None = None
    container: Container | None = None
    path: str | None = None
    datasource_type: str | None = None
    host: str | None = None
    port: str | None = None
    database: str | None = None
    bucket: str | None = None
    connection_id: str | None = None
    #: What the catalog calls the type, whose id `datasource_type` is.
    type_name: str | None = None

    @property
    def types(self) -> list[str]:
        """By what the type of its connection may be named in rules, in lower case: its id, then its name."""
        return [told.lower() for told in (self.datasource_type, self.type_name) if told]


async def located(connection: AsyncConnection, asset_ids: Collection[str]) -> list[Located]:
    """Where the data of these assets lies."""
    return await _read(connection, among(connection, assets.c.asset_id, asset_ids))


async def at_paths(connection: AsyncConnection, paths: Collection[str]) -> list[Located]:
    """Living assets whose data lies at one of these paths, of whatever connection; the catalog's own first."""
    found = await _read(
        connection, sa.and_(among(connection, assets.c.connection_path, paths), assets.c.deleted_at.is_(None))
    )
    return sorted(found, key=lambda one: (one.container.kind if one.container else "~", one.asset_id))


async def _read(connection: AsyncConnection, chosen: sa.ColumnElement[bool]) -> list[Located]:
    asset, link, kind = assets.c, connections.c, things["datasource_type"]
    query = (
        sa.select(
            asset.asset_id, asset.name, asset.container_kind, asset.container_id, asset.connection_path,
            link.datasource_type, link.host, link.port, link.database, link.bucket, asset.connection_id,
            kind.c.name.label("type_name"),
        )
        .outerjoin(connections, link.asset_id == asset.connection_id)
        .outerjoin(kind, sa.and_(kind.c.datasource_type_id == link.datasource_type, kind.c.deleted_at.is_(None)))
        .where(chosen)
    )  # fmt: skip
    return [_located(row) for row in await connection.execute(query)]


def _located(row: Any) -> Located:
    container = Container(row.container_kind, row.container_id) if row.container_kind else None
    where = (row.datasource_type, row.host, row.port, row.database, row.bucket, row.connection_id, row.type_name)
    return Located(row.asset_id, row.name, container, row.connection_path, *where)


async def columns_of(connection: AsyncConnection, asset_ids: Collection[str]) -> dict[str, tuple[AssetColumn, ...]]:
    """The columns of these assets, in their order."""
    column = asset_columns.c
    query = sa.select(
        column.asset_id, column.name, column.position, column.data_type, column.native_type, column.description
    )
    found: dict[str, list[AssetColumn]] = defaultdict(list)
    rows = await connection.execute(query.where(among(connection, column.asset_id, asset_ids)))
    for row in sorted(rows, key=lambda row: (row.position or 0, row.name)):
        told = AssetColumn(row.name, row.position, row.data_type, row.native_type, description=row.description)
        found[row.asset_id].append(told)
    return {asset_id: tuple(columns) for asset_id, columns in found.items()}


async def related_columns(
    connection: AsyncConnection, asset_ids: Collection[str], relationships: Collection[str]
) -> list[tuple[str, str, str, str]]:
    """Pairs of columns of these assets that a relationship of one of these names leads from and to.

    Returns:
        Source asset, its column, target asset, its column.
    """
    link = things["relationship"].c
    query = sa.select(link.source_id, link.source_column, link.target_id, link.target_column).where(
        among(connection, link.source_id, asset_ids),
        among(connection, link.target_id, asset_ids),
        among(connection, link.relationship_name, relationships),
        link.source_column.is_not(None),
        link.target_column.is_not(None),
        link.deleted_at.is_(None),
    )
    return [tuple(row) for row in await connection.execute(query)] if relationships else []
