"""What changed from one profiling run to the next, over all data assets: which became emptier, of which class."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.queries.relations import RELATIONS


class Change(StrEnum):
    """What changed of a column, or of a table."""

    #: More, or fewer, rows without a value than in the run before.
    EMPTIER = "emptier"
    FULLER = "fuller"
    DISTINCT = "distinct"
    ROWS = "rows"
    RETYPED = "retyped"
    RECLASSIFIED = "reclassified"
    ADDED = "added"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Drifted:
    """A column, or with an empty `column_name` a table, and what changed of it from the run before to the newest."""

    asset_id: str
    asset_name: str | None
    container_id: str | None
    column_name: str
    #: As v1_profile_drift words it: nulls, distinct, rows, …
    change: str
    #: The data class of the column now.
    data_class: str | None
    before_at: datetime
    after_at: datetime
    before_text: str | None
    after_text: str | None
    before_number: float | None
    after_number: float | None
    #: It is as large as settings ask for to be told.
    is_crossed: bool


async def drifted(
    connection: AsyncConnection,
    *,
    change: Change | None = None,
    klass: str | None = None,
    since: datetime | None = None,
    limit: int = 100,
) -> list[Drifted]:
    """What changed most, first; of assets that every member of their container may see.

    Args:
        klass: only columns of this data class (its name or code), or columns or tables with this classification.
        since: only where the newest run ended at or after this moment.
    """
    drift, column = RELATIONS["v1_profile_drift"].c, RELATIONS["v1_profile_columns"].c
    same = sa.and_(column.asset_id == drift.asset_id, column.column_name == drift.column_name)
    told = [getattr(drift, name) for name in Drifted.__dataclass_fields__ if name != "data_class"]
    query = sa.select(*told, column.data_class).select_from(
        RELATIONS["v1_profile_drift"].outerjoin(RELATIONS["v1_profile_columns"], same)
    )
    if change in (Change.EMPTIER, Change.FULLER):
        grew = drift.difference > 0 if change is Change.EMPTIER else drift.difference < 0
        query = query.where(drift.change == "nulls", grew)
    elif change is not None:
        query = query.where(drift.change == str(change))
    if since is not None:
        query = query.where(drift.after_at >= since)
    if klass is not None:
        query = query.where(_is_of(klass, drift, column))
    largest = sa.func.abs(sa.func.coalesce(drift.difference, 0)).desc()
    rows = await connection.execute(
        query.order_by(largest, drift.asset_id, drift.column_name, drift.change).limit(limit)
    )
    return [Drifted(**row._mapping) for row in rows]


def _is_of(klass: str, drift: Any, column: Any) -> sa.ColumnElement[bool]:
    on_column, on_asset = RELATIONS["v1_column_classifications"].c, RELATIONS["v1_asset_classifications"].c
    return sa.or_(
        column.data_class == klass,
        column.data_class_code == klass,
        sa.exists().where(
            on_column.asset_id == drift.asset_id,
            on_column.column_name == drift.column_name,
            on_column.classification == klass,
        ),
        sa.exists().where(on_asset.asset_id == drift.asset_id, on_asset.classification == klass),
    )


async def classes(connection: AsyncConnection, limit: int = 200) -> list[str]:
    """Names of data classes of profiled columns and of classifications, to choose from."""
    column, on_column = RELATIONS["v1_profile_columns"].c, RELATIONS["v1_column_classifications"].c
    on_asset = RELATIONS["v1_asset_classifications"].c
    every = sa.union(
        *(sa.select(name.label("name")).where(name.is_not(None)) for name in
          (column.data_class, on_column.classification, on_asset.classification))
    ).subquery()  # fmt: skip
    return list((await connection.execute(sa.select(every.c.name).order_by(every.c.name).limit(limit))).scalars())
