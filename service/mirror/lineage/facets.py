"""Writes what facets of OpenLineage events tell beside the edges: what columns were made of, and what runs did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import ColumnsTold, LineageRecorded, RunFact
from service.mirror.bulk import key_in, row_insert
from service.mirror.lineage import identities
from service.mirror.rows import NAME_BYTES, moment_of, name_of, text_of
from service.mirror.tables import (
    column_facets,
    column_flows,
    lineage_edges,
    lineage_events,
    quality_assertions,
    row_of,
    run_facts,
)
from service.text.documents import key_text

#: Flows that one transaction removes at most.
_FLOWS = 1000
#: A run that may be under way.
_OPEN = ("JOB_STARTED", "JOB_RUNNING")

FacetRow, FlowRow, FactRow = map(row_of, (column_facets, column_flows, run_facts))
#: Of a run of which nothing is told but that it was lost.
LostRow = row_of(run_facts, partly=True)
_facets = row_insert(column_facets, "newer", "facet_id")
_flows = row_insert(column_flows, "nothing")
_facts = row_insert(run_facts, "newer")


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
    rows = [
        FacetRow(facet_id=one.facet_id, version=one.version, event_id=event_id, flow_id=one.flow_id)
        for event_id, one in columns.values()
    ]
    written = {row[0] for row in await _facets.run(connection, rows)}
    flows = {one.flow_id: one for _, one in columns.values() if one.facet_id in written}
    await _flows.run(connection, [row for flow in flows.values() for row in _flow_rows(flow)])


def _flow_rows(told: ColumnsTold) -> Iterable[Any]:
    for number, edge in enumerate(told.edges):
        yield FlowRow(
            flow_id=told.flow_id,
            number=number,
            from_asset_id=edge.from_asset,
            from_column=key_text(edge.from_column, NAME_BYTES),
            from_key=key_text(edge.from_key, NAME_BYTES),
            to_asset_id=told.to_asset,
            to_column=key_text(edge.to_column, NAME_BYTES),
            to_key=key_text(edge.to_key, NAME_BYTES),
            is_direct=edge.is_direct,
            transformation=text_of(edge.transformation),
            description=text_of(edge.description),
            masking=edge.masking,
        )


def _fact_row(event_id: str, fact: RunFact) -> Any:
    return FactRow(
        event_id=event_id,
        fact=fact.fact,
        version=fact.version,
        moment=moment_of(fact.at_us),
        until=moment_of(fact.until_us),
        run_id=name_of(fact.run_id),
        job_namespace=name_of(fact.job_namespace),
        job_name=name_of(fact.job_name),
        root_run_id=name_of(fact.root_run_id),
        root_job_namespace=name_of(fact.root_job_namespace),
        root_job_name=name_of(fact.root_job_name),
        text=text_of(fact.text),
    )


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
    lost_rows = [LostRow(row.event_id, fact="lost", version=row.version, moment=row.event_time) for row in rows]
    await _facts.run(connection, lost_rows)
    return len(rows)
