"""Usage: once in a while usage statistics are asked for, for what was used since, and the days on which it was used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror import controls
from service.mirror.store import Store
from service.mirror.tables import controls as controls_table
from service.mirror.tables import links, usage_facts
from service.targets.pentaho import ledger
from service.targets.pentaho.operations import OPERATIONS
from service.targets.pentaho.options import Options, Rule
from service.targets.pentaho.planning import Planned

RULE: Rule = "usage_observed"
#: Uses that were written so long before the last turn count again: they may have been committed after it.
_OVERLAP = timedelta(minutes=10)
_WITH_RANGE = "usage_statistics"


async def take_turn(connection: AsyncConnection, store: Store, target: str, options: Options) -> None:
    """Write down the jobs of a turn that is due, once for all replicas; the first turn only begins to count."""
    await ledger.one_at_a_time(connection, target)
    since, is_due = await _last(connection, store, target, options)
    if not is_due:
        return
    planned = await jobs(connection, target, options, since) if since else []
    await ledger.insert(connection, target, planned)
    await controls.set_control(connection, _name(target), {"jobs": len(planned)})


async def due(connection: AsyncConnection, store: Store, target: str, options: Options) -> list[Planned]:
    """What `take_turn` would write down now."""
    since, is_due = await _last(connection, store, target, options)
    return await jobs(connection, target, options, since) if is_due and since else []


async def is_due(connection: AsyncConnection, store: Store, target: str, options: Options) -> bool:
    """Whether a turn is due, or the first has not been."""
    return bool(options.rules[RULE]) and (await _last(connection, store, target, options))[1]


async def _last(
    connection: AsyncConnection, store: Store, target: str, options: Options
) -> tuple[datetime | None, bool]:
    """When the last turn was, and whether the next is due."""
    then = controls_table.c.updated_at
    query = sa.select(then, (then <= store.later(-options.usage_every_s)).label("is_due"))
    row = (await connection.execute(query.where(controls_table.c.name == _name(target)))).first()
    return (None, True) if row is None else (row.updated_at, bool(row.is_due))


def _name(target: str) -> str:
    return f"usage_told_to:{target}"


async def jobs(connection: AsyncConnection, target: str, options: Options, since: datetime) -> list[Planned]:
    """The jobs for linked assets whose uses were written since then, for the days (UTC) of those uses."""
    fact, link = usage_facts.c, links.c
    mine = sa.and_(link.target == target, link.kind == "asset", link.catalog_id == fact.asset_id)
    query = sa.select(link.pentaho_id, sa.func.min(fact.occurred_at), sa.func.max(fact.occurred_at))
    query = query.select_from(usage_facts.join(links, mine)).where(fact.mirrored_at >= since - _OVERLAP)
    rows = list(await connection.execute(query.group_by(link.pentaho_id)))
    if not rows:
        return []
    days = min(row[1] for row in rows), max(row[2] for row in rows)
    return list(_planned(sorted(row[0] for row in rows), *days, options))


def _planned(ids: list[str], first: datetime, last: datetime, options: Options) -> list[Planned]:
    found = []
    for chain in options.rules[RULE]:
        operation, more = OPERATIONS[chain[0]], dict(options.bodies.get(chain[0], {}))
        if operation.name == _WITH_RANGE:
            more["configs"] = {**more.get("configs", {}), **date_range(_day(first), _day(last))}
        for start in range(0, len(ids), options.scope_max):
            request = operation.request(ids[start : start + options.scope_max], more)
            found.append(Planned(operation.name, request, chain[1:], RULE))
    return found


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()


def date_range(first: str, last: str) -> dict[str, Any]:
    """The range of days, as Pentaho's example has it."""
    return {"startDate": first, "endDate": last}
