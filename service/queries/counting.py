"""How many there are, at a cost that does not grow with the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.store import Store

#: Rows of a table that are counted one by one; of more the store's own estimate is told.
COUNTED_ROWS = 1000

#: What PostgreSQL's planner would say: rows per page when it last looked, times the pages that there are now. Of a
#: table in parts they are those of its parts, of which empty ones may never have been looked at.
_ESTIMATED = sa.text("""
    SELECT c.relname, CASE WHEN bool_and(p.reltuples >= 0 OR pg_relation_size(p.oid) = 0)
                           THEN sum(greatest(p.reltuples, 0) / greatest(p.relpages, 1)
                                    * (pg_relation_size(p.oid) / CAST(current_setting('block_size') AS int))) END
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_inherits i ON i.inhparent = c.oid JOIN pg_class p ON p.oid = coalesce(i.inhrelid, c.oid)
     WHERE c.relkind IN ('r', 'p') AND c.relname = ANY(:names)
       AND n.nspname = coalesce(CAST(:schema AS text), current_schema())
     GROUP BY c.oid, c.relname
""")


class Precision(StrEnum):
    """How well a number is known."""

    EXACT = "exact"
    ABOUT = "about"
    AT_LEAST = "at_least"


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are, and how well that is known: to count a million rows would take longer than an answer may."""

    number: int
    precision: Precision = Precision.EXACT


def bounded(query: sa.Select[Any], bound: int | None) -> sa.ScalarSelect[int]:
    """How many rows a query has, as a part of a statement, of which one more than the bound are looked at."""
    looked_at = query if bound is None else query.limit(bound + 1)
    return sa.select(sa.func.count()).select_from(looked_at.subquery()).scalar_subquery()


def counted(number: int, bound: int | None) -> Count:
    """What `bounded` found."""
    return Count(number) if bound is None or number <= bound else Count(bound, Precision.AT_LEAST)


async def count_rows(
    connection: AsyncConnection, store: Store, tables: Sequence[sa.Table], *, exact: bool = False
) -> dict[str, Count]:
    """How many rows each table has, by its name; `exact` counts all of them, however long that takes."""
    bound = None if exact else COUNTED_ROWS
    found = (await connection.execute(_counting(tuple(tables), bound))).one()._mapping
    told = {table.name: counted(found[table.name], bound) for table in tables}
    many = [table for table in tables if told[table.name].precision is not Precision.EXACT]
    estimates = await _estimates(connection, store, many) if many else {}
    return told | {
        name: Count(max(COUNTED_ROWS, round(number)), Precision.ABOUT) for name, number in estimates.items() if number
    }


@lru_cache
def _counting(tables: tuple[sa.Table, ...], bound: int | None) -> sa.Select[*tuple[Any, ...]]:
    """The statement that counts them, made once: an open console asks every two seconds."""
    return sa.select(*(
        bounded(sa.select(sa.literal(1).label("one")).select_from(table), bound).label(table.name) for table in tables
    ))  # fmt: skip


async def _estimates(connection: AsyncConnection, store: Store, tables: Sequence[sa.Table]) -> dict[str, float | None]:
    if store.dialect == "postgresql":
        names = {"names": [table.name for table in tables], "schema": store.schema}
        return {row[0]: row[1] for row in await connection.execute(_ESTIMATED, names)}
    newest: sa.ColumnElement[int] = sa.func.max(sa.literal_column("rowid"))  # rows are hardly ever removed from these
    return {table.name: await connection.scalar(sa.select(newest).select_from(table)) for table in tables}
