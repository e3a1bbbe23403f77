"""What a window comes to: how often each asset was used in it, and by how many different users; in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.tables import usage_facts
from service.mirror.usage.window import Window
from service.text.documents import canonical


@dataclass(frozen=True, slots=True)
class Figure:
    """Uses in a window; `users` are those that are known, None where nobody says who it was."""

    uses: int
    users: int | None


async def figures(
    connection: AsyncConnection, window: Window, same: Mapping[str, str] | None = None
) -> dict[str, Figure]:
    """Figures by asset; assets without use in the window are not among them.

    Args:
        same: assets that count as another one: their uses are its uses, and a user of both is one user.
    """
    rows = await connection.execute(_statement(connection.dialect.name, window, same or {}))
    return {asset_id: Figure(int(uses), int(users) or None) for asset_id, uses, users in rows}


def _statement(dialect: str, window: Window, same: Mapping[str, str]) -> sa.Select[Any]:
    uses = _uses(window)
    asset_id: sa.ColumnElement[str] = uses.c.asset_id
    source: sa.FromClause = uses
    if same:
        names = _pairs(dialect, same)
        asset_id = sa.func.coalesce(names.c.value, uses.c.asset_id)
        source = uses.outerjoin(names, names.c.key == uses.c.asset_id)
    # Users are counted as groups: `count(DISTINCT …)` would sort every row.
    each = (
        sa.select(asset_id.label("asset_id"), uses.c.user_hash, sa.func.sum(uses.c.number).label("uses"))
        .select_from(source)
        .group_by(asset_id, uses.c.user_hash)
        .subquery("each_user")
    )
    return sa.select(each.c.asset_id, sa.func.sum(each.c.uses), sa.func.count(each.c.user_hash)).group_by(
        each.c.asset_id
    )


def _uses(window: Window) -> sa.Subquery:
    """Facts of the window, and how much counters grew in it: each reading against the one before, however old."""
    fact = usage_facts.c
    plain = sa.select(fact.asset_id, fact.user_hash, fact.number).where(
        fact.counter.is_(None), fact.occurred_at >= window.start, fact.occurred_at < window.end
    )
    before = sa.func.lag(fact.number).over(partition_by=fact.counter, order_by=(fact.occurred_at, fact.fact_id))
    grown = (
        sa.select(fact.asset_id, fact.occurred_at, (fact.number - before).label("number"))
        .where(fact.counter.is_not(None))
        .subquery("grown")
    )
    read = sa.select(grown.c.asset_id, sa.null().label("user_hash"), grown.c.number).where(
        grown.c.number > 0, grown.c.occurred_at >= window.start, grown.c.occurred_at < window.end
    )
    return sa.union_all(plain, read).subquery("uses")


def _pairs(dialect: str, same: Mapping[str, str]) -> Any:
    """The pairs as a table of `key` and `value`: one text, whatever their number."""
    told = sa.bindparam("same", canonical(dict(same)).decode(), type_=sa.Text)
    if dialect == "sqlite":
        return sa.func.json_each(told).table_valued("key", "value", name="same_as")
    return sa.func.json_each_text(sa.cast(told, sa.JSON)).table_valued("key", "value", name="same_as")
