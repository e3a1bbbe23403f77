"""Lineage derived again from the OpenLineage events as they came, after rules or code that derive it changed.

What events say of the state of their run, its edges, the names of its data sets, what tests found and what counts as a
use is made anew, as if the rules had always been these; which asset lies behind a name is looked up anew, too. What the
catalog told stays as it is, and nobody is told. One transaction per batch, beside a running service.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import CATALOG, Change, Rank, Version
from service.events.message import Message
from service.mirror import writer
from service.mirror.bulk import among
from service.mirror.lineage import facets
from service.mirror.store import Store
from service.mirror.tables import (
    assets,
    data_profiles,
    dataset_links,
    lineage_edges,
    lineage_events,
    openlineage_events,
    usage_facts,
)
from service.openlineage import resolving
from service.openlineage.naming import Naming
from service.openlineage.renaming import Renaming
from service.pipeline.committing import retrying
from service.pipeline.decoding import Read
from service.pipeline.pipeline import Pipeline
from service.text import documents

log = structlog.get_logger(__name__)

#: Lineage events of one transaction.
_EVENTS = 100


def posted(envelope: dict[str, Any], sender: str) -> Message:
    """An OpenLineage event of somebody, as it travels through the pipeline (`resolving.envelopes`)."""
    return Message(f"api.{sender}.openlineage.POST", documents.canonical(envelope))


async def rederive(store: Store, pipeline: Pipeline, naming: Naming, renaming: Renaming) -> AsyncIterator[int]:
    """Derive lineage again; yields how many lineage events each batch had.

    An event that more than one sender told of counts as told by the one whose state of it won. Events that cannot be
    read any more stay as they are, and are logged.
    """
    await pipeline.decode([])  # so that nothing has to be prepared inside a transaction
    last, number = "", 0
    while True:
        async with store.read() as connection:
            ids = await _following(connection, last)
        if not ids:
            await _forget_flows(store)
            return
        async for attempt in retrying():
            with attempt:
                async with store.write() as connection:
                    number = await _derive(connection, pipeline, naming, renaming, ids)
        last = ids[-1]
        yield number


async def _forget_flows(store: Store) -> None:
    """Remove edges of columns that nothing tells any more."""
    number = 1
    while number:
        async with store.write() as connection:
            number = await facets.remove_unused(connection)


async def _following(connection: AsyncConnection, last: str) -> list[str]:
    told = openlineage_events.c.event_id
    query = sa.select(told).distinct().where(told > last).order_by(told).limit(_EVENTS)
    return list((await connection.execute(query)).scalars())


async def _derive(
    connection: AsyncConnection, pipeline: Pipeline, naming: Naming, renaming: Renaming, ids: list[str]
) -> int:
    """One batch. Rows are locked before originals are read, so that none is missed that is written just now."""
    event, told = lineage_events.c, openlineage_events.c
    senders = sa.select(event.event_id, event.came_from).where(among(connection, event.event_id, ids))
    rows = await connection.execute(senders.order_by(event.event_id).with_for_update())
    sender_of = {row.event_id: row.came_from for row in rows if row.came_from not in (None, CATALOG)}
    query = sa.select(told.event_id, told.document).where(among(connection, told.event_id, sorted(sender_of)))
    originals = (await connection.execute(query.order_by(told.openlineage_id))).all()
    events = [documents.parsed_text(row.document) for row in originals]
    envelopes = await resolving.envelopes(connection, naming, renaming, events)
    messages = [posted(envelope, sender_of[row.event_id]) for row, envelope in zip(originals, envelopes, strict=True)]
    reads: dict[str, list[Read]] = defaultdict(list)
    for row, read in zip(originals, await pipeline.decode(messages), strict=True):
        reads[row.event_id].append(read)
    usable = sorted(event_id for event_id, ones in reads.items() if _is_usable(event_id, ones))
    changes = [change for event_id in usable for read in reads[event_id] for change in read.changes]
    await _replace(connection, usable, changes)
    return len(usable)


def _is_usable(event_id: str, reads: Collection[Read]) -> bool:
    problems = [type(read.error).__name__ for read in reads if read.error is not None]
    if problems:
        log.warning("lineage_not_rederived", event_id=event_id, problem=problems[0])
    return not problems


async def _replace(connection: AsyncConnection, ids: list[str], changes: list[Change]) -> None:
    """What was derived of these lineage events goes, what is derived now comes."""
    before = await _named(connection, ids)
    lineage_facts = sa.and_(among(connection, usage_facts.c.event_id, ids), usage_facts.c.source == "lineage")
    await connection.execute(sa.delete(usage_facts).where(lineage_facts))
    await connection.execute(sa.delete(lineage_events).where(among(connection, lineage_events.c.event_id, ids)))
    await facets.forget(connection, ids)
    await writer.apply(connection, enumerate(changes), kept=True)
    await _forget(connection, before - await _named(connection, ids))


async def _named(connection: AsyncConnection, ids: list[str]) -> set[str]:
    """What these lineage events name."""
    edge, link = lineage_edges.c, dataset_links.c
    queries = (
        sa.select(edge.asset_id).where(among(connection, edge.event_id, ids)),
        sa.select(link.other_id).where(among(connection, link.event_id, ids), link.other_id != ""),
    )
    return {name for query in queries for name in (await connection.execute(query)).scalars()}


async def _forget(connection: AsyncConnection, names: set[str]) -> None:
    """Remove rows of which nothing is known but that lineage named them, if nothing names them any more."""
    known = assets.c
    named = (
        sa.exists().where(lineage_edges.c.asset_id == known.asset_id),
        sa.exists().where(dataset_links.c.other_id == known.asset_id),
        sa.exists().where(data_profiles.c.asset_id == known.asset_id),
    )
    mere = among(connection, known.asset_id, sorted(names)), known.version == Version(None, Rank.STUB).key
    await connection.execute(sa.delete(assets).where(*mere, ~sa.or_(*named)))
