"""Writes a batch of changes in one transaction, newest version first to last, whatever their order.

Tables are touched in one fixed order with rows sorted by key, so that two replicas never wait for each other in a
circle. Nothing is read before it is written; afterwards only the rows that were not written are looked at, to find
states of the same second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Change, LineageRecorded, Rank, RefreshAsked, Version
from service.mirror import refreshes
from service.mirror.bulk import BulkInsert, key_in, rows_by_key, state_insert
from service.mirror.rows import TIE_REFRESH_DELAY_S, StateRow, edge_values, lineage_values, plan_of
from service.mirror.tables import (
    assets,
    containers,
    data_profiles,
    enrichment_areas,
    lineage_edges,
    lineage_events,
)

_PLACE = ("container_kind", "container_id")
_LINEAGE = ("event_id", "event_type", "categories", "event_time", "source_service", "user_id", "own")

_containers = state_insert(containers, "container_id", "kind")
_assets = state_insert(assets, "asset_id", *_PLACE, "name", "asset_type", "visibility_mode")
_profiles = state_insert(
    data_profiles, "profile_id", "asset_id", *_PLACE, "status", "column_count", "created_at", "owner_id"
)
_areas = state_insert(enrichment_areas, "area_id")
_lineage = state_insert(lineage_events, *_LINEAGE, keep_if="own")
_own_lineage = BulkInsert(
    lineage_events, _lineage.columns, ("event_id",), "nothing", ("event_id",), _lineage.clocked, _lineage.constants
)
_edges = BulkInsert(
    lineage_edges,
    ("event_id", "asset_id", "role", "relation", "asset_type", "name", *_PLACE),
    key=("event_id", "asset_id", "role"),
    on_conflict="nothing",
)


@dataclass(slots=True)
class Applied:
    """What a batch did to the mirror."""

    #: Indices of the events that wrote a row.
    events: set[int] = field(default_factory=set)
    #: Indices of events that turned out to be our own, come back.
    own: set[int] = field(default_factory=set)
    #: Changes that took effect, with the index of their event.
    effective: list[tuple[int, Change]] = field(default_factory=list)


async def apply(connection: AsyncConnection, changes: Iterable[tuple[int, Change]]) -> Applied:
    """Write the changes, each with the index of its event; the caller's transaction holds them.

    Raises:
        SQLAlchemyError and what else a store raises: nothing of the transaction is to be kept then.
    """
    plan = plan_of(changes)
    applied = Applied()
    asked = list(plan.refreshes)
    for insert, rows, kind in (
        (_containers, plan.containers, "container"),
        (_assets, plan.assets, "asset"),
        (_profiles, plan.data_profiles, "data_profile"),
        (_areas, plan.enrichment_areas, "enrichment_area"),
    ):
        asked += await _write_states(connection, insert, rows, kind, applied)
    await _write_lineage(connection, plan.lineage_events, applied)
    await refreshes.ask(connection, asked)
    return applied


async def _write_states(
    connection: AsyncConnection, insert: BulkInsert, rows: dict[str, StateRow], kind: str, applied: Applied
) -> list[RefreshAsked]:
    """Write one table's rows; answers the refreshes that equal seconds ask for."""
    written = {row[0]: row.replaces for row in await insert.run(connection, [row.values for row in rows.values()])}
    ties = []
    for row_id, replaced in written.items():
        row = rows[row_id]
        _note(applied, row)
        older = [*row.overtaken, *([Version.from_key(replaced)] if replaced else [])]
        if any(row.version.ties_with(version) for version in older):
            ties.append(row_id)
    unwritten = [row_id for row_id, row in rows.items() if row_id not in written and row.version.rank is not Rank.STUB]
    if unwritten:
        there = await rows_by_key(connection, insert.table, insert.key[0], unwritten, "version")
        ties += [row_id for row_id in unwritten if _ties_with_stored(rows[row_id], there.get(row_id))]
    return [_tie(kind, row_id, rows[row_id]) for row_id in ties]


def _note(applied: Applied, row: StateRow) -> None:
    applied.events.add(row.event)
    if row.change is not None:
        applied.effective.append((row.event, row.change))


def _ties_with_stored(row: StateRow, stored: Any) -> bool:
    versions = [row.version, *row.overtaken]
    return stored is not None and any(version.ties_with(Version.from_key(stored[1])) for version in versions)


def _tie(kind: str, row_id: str, row: StateRow) -> RefreshAsked:
    container = getattr(row.change, "container", None)
    return RefreshAsked(kind, row_id, container, reason="same_second", delay_s=TIE_REFRESH_DELAY_S)


async def _write_lineage(connection: AsyncConnection, rows: dict[str, StateRow], applied: Applied) -> None:
    written = {row[0]: row.replaces for row in await _lineage.run(connection, [row.values for row in rows.values()])}
    for event_id in written:
        _note(applied, rows[event_id])
    unwritten = [event_id for event_id in rows if event_id not in written]
    if unwritten:
        there = await rows_by_key(connection, lineage_events, "event_id", unwritten, "own")
        applied.own |= {rows[event_id].event for event_id in unwritten if event_id in there and there[event_id][1]}
    changed = [event_id for event_id, replaced in written.items() if replaced]
    if changed:
        await connection.execute(sa.delete(lineage_edges).where(key_in(connection, lineage_edges.c.event_id, changed)))
    events = [rows[event_id].change for event_id in written]
    await _edges.run(
        connection, [edge for event in events if isinstance(event, LineageRecorded) for edge in edge_values(event)]
    )


async def record_own_lineage(connection: AsyncConnection, events: Sequence[LineageRecorded]) -> set[str]:
    """Insert lineage events that we made, with their edges; answers the ids that were not there yet."""
    by_id = {event.event_id: event for event in events}
    rows = [lineage_values(event, own=True) for event in by_id.values()]
    written = {row[0] for row in await _own_lineage.run(connection, rows)}
    await _edges.run(connection, [edge for event_id in written for edge in edge_values(by_id[event_id])])
    return written
