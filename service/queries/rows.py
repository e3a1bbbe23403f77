"""The first rows of a view about one thing: what an answer shows of a list, and where all of it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.queries.relations import RELATIONS
from service.queries.views import DOCUMENT

#: Rows of a list that are shown at most.
SHOWN = 100
#: What no row says: whole documents, and of an asset's own rows what the asset says.
_LEFT_OUT = frozenset({DOCUMENT, "mirrored_at"})
_SAID = frozenset({"asset_name", "container_kind", "container_id"})


#: The parameter that says how many rows are read.
_MOST = "most"


@dataclass(frozen=True, slots=True)
class Rows:
    """The first rows of a view, by column; `more`: there are further ones.

    All of them are at `/api/views/{view}` with these values of `filter`.
    """

    view: str
    filter: list[str]
    rows: list[dict[str, Any]]
    more: bool


async def first_rows(
    connection: AsyncConnection,
    view: str,
    where: Mapping[str, str],
    *,
    order: Sequence[str] = (),
    newest: str | None = None,
    limit: int = SHOWN,
) -> Rows:
    """Rows in which these columns have these values.

    Args:
        order: columns that they are sorted by; `newest`: the column with the moment by which the newest come first.
    """
    left_out = _LEFT_OUT.union(where, _SAID if "asset_id" in where else ())
    query = _asking(view, left_out, tuple(where), tuple(order), newest)
    rows = (await connection.execute(query, {**where, _MOST: limit + 1})).all()
    told = [dict(row._mapping) for row in rows[:limit]]
    return Rows(view, [f"{name}:eq:{value}" for name, value in where.items()], told, len(rows) > limit)


async def one_row(connection: AsyncConnection, view: str, where: Mapping[str, str]) -> dict[str, Any] | None:
    """One row of a view, without its document."""
    row = (await connection.execute(_asking(view, frozenset({DOCUMENT}), tuple(where)), {**where, _MOST: 1})).first()
    return dict(row._mapping) if row else None


@lru_cache
def _asking(
    view: str, left_out: frozenset[str], where: tuple[str, ...], order: tuple[str, ...] = (), newest: str | None = None
) -> sa.Select[*tuple[Any, ...]]:
    """A question to a view, made once: an asset's page asks some thirty."""
    relation = RELATIONS[view]
    shown = [column for column in relation.c if column.name not in left_out]
    query = sa.select(*shown).where(*(relation.c[name] == sa.bindparam(name) for name in where))
    if newest:
        query = query.order_by(relation.c[newest].desc().nulls_last())
    return query.order_by(*(relation.c[name] for name in order)).limit(sa.bindparam(_MOST))
