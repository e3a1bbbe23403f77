"""Retention: what nobody needs any more is removed, piece by piece, so that the store does not grow for ever.

State rows, tombstones (those of histories, too) and the audit log stay: tombstones are what keeps a late event from
bringing back what was deleted, and their documents are gone already.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import key_in
from service.mirror.lineage import facets
from service.mirror.store import Store
from service.mirror.tables import (
    HISTORIES,
    collibra_batches,
    column_flows,
    dead_letters,
    deliveries,
    gaps,
    key_of,
    lineage_events,
    openlineage_events,
    pentaho_job_parts,
    pentaho_jobs,
    profile_runs,
    replicas,
    sessions,
    sync_runs,
    usage_facts,
)
from service.settings.model import RetentionSettings

#: Rows that one transaction removes of a table at most.
BATCH = 1000
#: Seconds after which a replica that was never heard of again is forgotten.
_REPLICA_S = 7 * 86_400.0


async def prune(store: Store, settings: RetentionSettings) -> dict[str, int]:
    """Remove one batch of each kind that is over its time; answers how many rows went, by table."""
    gone: dict[str, int] = {}
    for table, condition in _overdue(store, settings):
        async with store.write() as connection:
            number = await _remove(connection, table, condition)
        if number:
            gone[table.name] = number
    if lineage_events.name in gone:
        async with store.write() as connection:
            if flows := await facets.remove_unused(connection):
                gone[column_flows.name] = flows
    return gone


async def note_lost_runs(store: Store, settings: RetentionSettings) -> int:
    """Note runs that began and of which nothing was heard for long, some of them; answers how many are new."""
    async with store.write() as connection:
        return await facets.note_lost(connection, store.later(-settings.runs_lost_s), BATCH)


def _overdue(store: Store, settings: RetentionSettings) -> list[tuple[sa.Table, sa.ColumnElement[bool]]]:
    letter, run, gap, job = dead_letters.c, sync_runs.c, gaps.c, pentaho_jobs.c
    undelivered = sa.exists().where(deliveries.c.entity_id == lineage_events.c.event_id)
    used_before = store.later(-settings.usage_s)
    return [
        (dead_letters, sa.and_(letter.closed_at.is_not(None), letter.closed_at < store.later(-settings.closed_s))),
        (dead_letters, sa.and_(letter.closed_at.is_(None), letter.last_at < store.later(-settings.dead_letters_s))),
        (lineage_events, sa.and_(lineage_events.c.event_time < store.later(-settings.lineage_s), ~undelivered)),
        (usage_facts, sa.and_(usage_facts.c.occurred_at < used_before, ~_is_baseline(used_before))),
        *(
            [(profile_runs, profile_runs.c.finished_at < store.later(-settings.profiles_s))]
            if settings.profiles_s
            else []
        ),
        *(
            [(table, _has_ended(table, store.later(-settings.history_s))) for table in HISTORIES.values()]
            if settings.history_s
            else []
        ),
        (sync_runs, sa.and_(run.finished_at.is_not(None), run.finished_at < store.later(-settings.closed_s))),
        (collibra_batches, collibra_batches.c.closed_at < store.later(-settings.closed_s)),
        (pentaho_jobs, sa.and_(job.finished_at.is_not(None), job.finished_at < store.later(-settings.closed_s))),
        (gaps, sa.and_(gap.closed_at.is_not(None), gap.closed_at < store.later(-settings.closed_s))),
        (replicas, replicas.c.seen_at < store.later(-_REPLICA_S)),
        (sessions, sessions.c.ends_at < store.now()),
    ]


def _is_baseline(horizon: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """The last reading of a counter before the horizon: from there its growth is counted, however old it is."""
    fact, later = usage_facts.c, usage_facts.alias("later")
    newer = sa.exists().where(
        later.c.counter == fact.counter,
        later.c.occurred_at > fact.occurred_at,
        later.c.occurred_at < horizon,
    )
    return sa.and_(fact.counter.is_not(None), ~newer)


def _has_ended(history: sa.Table, horizon: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """A state that another one followed before the horizon; what held then stays, however old it is."""
    key = key_of(history).name
    later = history.alias("later").c
    followed = sa.exists().where(
        later[key] == history.c[key], later.version > history.c.version, later.version_at < horizon
    )
    return sa.and_(history.c.version_at < horizon, followed)


async def _remove(connection: AsyncConnection, table: sa.Table, condition: sa.ColumnElement[bool]) -> int:
    """One batch, in the order of keys, as all writers go, with what belongs to them."""
    key = key_of(table)
    query = sa.select(key).distinct().where(condition).order_by(key).limit(BATCH)
    keys = (await connection.execute(query)).scalars().all()
    if not keys:
        return 0
    if table is pentaho_jobs:
        mine = key_in(connection, pentaho_job_parts.c.job_key, keys)
        await connection.execute(sa.delete(pentaho_job_parts).where(mine))
    several = len(table.primary_key) > 1  # of a profile only some runs, and of a thing only some states, are over
    over = condition if several else sa.true()
    gone = await connection.execute(sa.delete(table).where(key_in(connection, key, keys), over))
    if table is lineage_events:
        originals = key_in(connection, openlineage_events.c.event_id, keys)
        await connection.execute(sa.delete(openlineage_events).where(originals))
        await facets.forget(connection, keys)
    return int(gone.rowcount)
