"""Writes what facets of OpenLineage events tell beside the edges: what columns were made of, and what runs did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import ColumnsTold, LineageRecorded, RunFact
from service.mirror.bulk import BulkInsert, key_in
from service.mirror.lineage import identities
from service.mirror.rows import moment_of, text_of
from service.mirror.tables import (
    column_facets,
    column_flows,
    lineage_edges,
    lineage_events,
    quality_assertions,
    run_facts,
)
from service.text.documents import key_text

#: Bytes of a column's name that are part of a key, beside an asset's id.
NAME_BYTES = 1024
#: Flows that one transaction removes at most.
_FLOWS = 1000
#: A run that may be under way.
_OPEN = ("JOB_STARTED", "JOB_RUNNING")

_facets = BulkInsert(
    column_facets,
    ("facet_id", "version", "event_id", "flow_id"),
    key=("facet_id",),
    on_conflict="newer",
    returning=("facet_id",),
    clocked=("mirrored_at",),
)
_flows = BulkInsert(
    column_flows,
    (
        "flow_id", "number", "from_asset_id", "from_column", "from_key", "to_asset_id", "to_column", "to_key",
        "is_direct", "transformation", "description", "masking",
    ),
    key=("flow_id", "number"),
    on_conflict="nothing",
)  # fmt: skip
_facts = BulkInsert(
    run_facts,
    (
        "event_id", "fact", "version", "moment", "until", "run_id", "job_namespace", "job_name", "root_run_id",
        "root_job_namespace", "root_job_name", "text",
    ),
    key=("event_id", "fact"),
    on_conflict="newer",
    clocked=("mirrored_at",),
)  # fmt: skip


async def write(connection: AsyncConnection, told: Iterable[LineageRecorded]) -> None:
    """Write what these events tell: of each facet, and of each fact of a run, the newest counts."""
    columns: dict[str, tuple[str, ColumnsTold]] = {}
    facts: dict[tuple[str, str], RunFact] = {}
    for event in told:
        for one in event.columns:
            if one.facet_id not in columns or columns[one.facet_id][1].version < one.version:
                columns[one.facet_id] = event.event_id, one
        for fact in event.run_facts:
            key = event.event_id, fact.fact
            facts[key] = max(facts.get(key, fact), fact, key=_version)
    await _write_columns(connection, columns)
    await _facts.run(connection, [_fact_row(event_id, fact) for (event_id, _), fact in facts.items()])


def _version(fact: RunFact) -> bytes:
    return fact.version


async def _write_columns(connection: AsyncConnection, columns: dict[str, tuple[str, ColumnsTold]]) -> None:
    """The facets first: whoever removes flows that no facet tells waits for them, and then sees them."""
    rows = [(one.facet_id, one.version, event_id, one.flow_id) for event_id, one in columns.values()]
    written = {row[0] for row in await _facets.run(connection, rows)}
    flows = {one.flow_id: one for _, one in columns.values() if one.facet_id in written}
    await _flows.run(connection, [row for flow in flows.values() for row in _flow_rows(flow)])


def _flow_rows(told: ColumnsTold) -> Iterable[tuple[Any, ...]]:
    for number, edge in enumerate(told.edges):
        names = [key_text(name, NAME_BYTES) for name in (edge.from_column, edge.from_key, edge.to_column, edge.to_key)]
        yield (
            told.flow_id, number, edge.from_asset, *names[:2], told.to_asset, *names[2:],
            edge.is_direct, text_of(edge.transformation), text_of(edge.description), edge.masking,
        )  # fmt: skip


def _fact_row(event_id: str, fact: RunFact) -> tuple[Any, ...]:
    run = (
        fact.run_id, fact.job_namespace, fact.job_name, fact.root_run_id, fact.root_job_namespace, fact.root_job_name,
    )  # fmt: skip
    texts = [None if text is None else key_text(text, NAME_BYTES) for text in run]
    return (
        event_id, fact.fact, fact.version, moment_of(fact.at_us), moment_of(fact.until_us), *texts, text_of(fact.text),
    )  # fmt: skip


async def forget(connection: AsyncConnection, event_ids: Sequence[str]) -> None:
    """Remove what is derived of lineage events beside their own rows: edges, what facets tell, links of names."""
    for table in (lineage_edges, quality_assertions, column_facets, run_facts):
        await connection.execute(sa.delete(table).where(key_in(connection, table.c.event_id, event_ids)))
    await identities.unlink(connection, event_ids)


async def remove_unused(connection: AsyncConnection) -> int:
    """Remove flows that no facet tells any more, some of them; answers how many rows went.

    Facets are written before their flows: so once no writer of facets is under way, what none of them tells is told
    by nobody.
    """
    flow, facet = column_flows.c, column_facets.c
    told = sa.exists().where(facet.flow_id == flow.flow_id)
    unused = sa.select(flow.flow_id).where(flow.number == 0, ~told).limit(_FLOWS)
    if not (await connection.execute(unused)).scalars().all():
        return 0
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.text(f"LOCK TABLE {column_facets.name} IN SHARE MODE"))
    ids = (await connection.execute(unused)).scalars().all()
    gone = await connection.execute(sa.delete(column_flows).where(key_in(connection, flow.flow_id, ids)))
    return int(gone.rowcount)


async def note_lost(connection: AsyncConnection, before: sa.ColumnElement[Any], limit: int) -> int:
    """Note runs of which nothing was heard since `before` although they never ended; answers how many are new."""
    event, lost = lineage_events.c, run_facts.alias("lost").c
    job = sa.exists().where(run_facts.c.event_id == event.event_id, run_facts.c.fact == "job")
    noted = sa.exists().where(lost.event_id == event.event_id, lost.fact == "lost", lost.moment == event.event_time)
    query = sa.select(event.event_id, event.event_time, event.version).where(
        event.event_type.in_([sa.literal_column(f"'{word}'") for word in _OPEN]), event.event_time < before, job, ~noted
    )
    rows = (await connection.execute(query.order_by(event.event_id).limit(limit))).all()
    nothing = (None,) * 8
    await _facts.run(connection, [(row.event_id, "lost", row.version, row.event_time, *nothing) for row in rows])
    return len(rows)
