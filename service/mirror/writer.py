"""Writes a batch of changes in one transaction, newest version first to last, whatever their order.

Tables are touched in one fixed order with rows sorted by key, so that two replicas never wait for each other in a
circle. Nothing is read before it is written; afterwards only the rows that were not written are looked at, to find
states of the same second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import (
    AssetSaved,
    Change,
    LineageRecorded,
    Origin,
    ProfileSaved,
    Rank,
    RefreshAsked,
    UsageObserved,
    Version,
)
from service.kinds import THINGS
from service.mirror import effects, history, refreshes
from service.mirror.bulk import BulkInsert, key_in, part_insert, row_insert, rows_by_key, state_insert
from service.mirror.effects import NOBODY, Effect, Parts, Watched
from service.mirror.lineage import facets, identities
from service.mirror.parts import (
    attachment_rows,
    attribute_rows,
    classification_rows,
    column_classification_rows,
    column_rows,
    connection_rows,
    term_rows,
)
from service.mirror.planning import TIE_REFRESH_DELAY_S, Plan, StateRow, plan_of
from service.mirror.profiling import classes, documents
from service.mirror.rows import edge_rows, fact_row, lineage_row
from service.mirror.tables import (
    asset_attachments,
    asset_attributes,
    asset_classifications,
    asset_columns,
    asset_terms,
    assets,
    column_classifications,
    connections,
    containers,
    data_profiles,
    lineage_edges,
    lineage_events,
    openlineage_events,
    quality_assertions,
    things,
    usage_facts,
)

_containers, _assets, _profiles = map(state_insert, (containers, assets, data_profiles))
_things = {kind: state_insert(things[kind]) for kind in THINGS}
_lineage = state_insert(lineage_events, keep_if="own")
_own_lineage = replace(_lineage, on_conflict="nothing", returning=("event_id",), keep_if=None)
_edges = row_insert(lineage_edges, "nothing")
_originals = row_insert(openlineage_events, "nothing", "openlineage_id")
_assertions = row_insert(quality_assertions, "nothing")
_facts = row_insert(usage_facts, "newer", "fact_id", "replaces")


#: What belongs to an asset's state and is replaced with it: the insert, and the rows of one asset.
ASSET_PARTS: tuple[tuple[BulkInsert, Callable[[AssetSaved], Iterable[tuple[Any, ...]]]], ...] = (
    (part_insert(asset_columns), column_rows),
    (part_insert(asset_terms), term_rows),
    (part_insert(asset_classifications), classification_rows),
    (part_insert(column_classifications), column_classification_rows),
    (part_insert(connections), connection_rows),
    (part_insert(asset_attributes), attribute_rows),
    (part_insert(asset_attachments), attachment_rows),
)


#: The tables of what belongs to an asset.
PART_TABLES = tuple(insert.table for insert, _ in ASSET_PARTS)
#: The inserts of state rows, by kind.
INSERTS = {"container": _containers, "asset": _assets, "data_profile": _profiles, **_things}


@dataclass(slots=True)
class Applied:
    """What a batch did to the mirror."""

    #: Indices of the events that wrote a row.
    events: set[int] = field(default_factory=set)
    #: Indices of events that turned out to be our own, come back.
    own: set[int] = field(default_factory=set)
    #: Changes that took effect, with the index of their event.
    effective: list[tuple[int, Change]] = field(default_factory=list)
    #: Ids of OpenLineage events that were not there yet.
    originals: set[str] = field(default_factory=set)
    #: Ids of lineage events of runs that had ended before.
    ended: set[str] = field(default_factory=set)
    #: What changes that took effect did to their rows, by the identity of the change; of kinds that are watched.
    effects: dict[int, Effect] = field(default_factory=dict)


async def apply(
    connection: AsyncConnection, changes: Iterable[tuple[int, Change]], origin: Origin = Origin.LIVE, *,
    kept: bool = False, histories: bool = False, watched: Watched = NOBODY,
) -> Applied:  # fmt: skip
    """Write the changes, each with the index of its event; the caller's transaction holds them.

    Args:
        origin: that of the refreshes that equal seconds ask for.
        kept: the OpenLineage events of these changes are kept already, and all that they say is to be written anew.
        histories: every state is kept, whether it is the row or not.
        watched: whose effects are wanted.

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
        *((_things[kind], plan.things[kind], kind) for kind in THINGS if kind in plan.things),
    ):
        written = await _write_states(connection, insert, rows, kind, applied, watched)
        asked += await _ties(connection, insert, rows, kind, written, origin)
        if histories and rows:
            await history.keep(connection, kind, insert.columns, rows.values(), written)
    if plan.documents:
        applied.events |= await documents.write(connection, plan.documents)
    await _write_lineage(connection, plan, applied, kept=kept)
    await refreshes.ask(connection, asked)
    return applied


async def _write_states(
    connection: AsyncConnection,
    insert: BulkInsert,
    rows: dict[str, StateRow],
    kind: str,
    applied: Applied,
    watched: Watched,
) -> dict[str, bytes | None]:
    """Write one table's rows; answers the ids of those that were written, with the version that each replaced."""
    is_watched = kind in watched.kinds and bool(rows)
    former = await effects.before(connection, insert, rows) if is_watched else {}
    shape = effects.shape_of(insert)
    written = {row[0]: row.replaces for row in await insert.run(connection, [row.values for row in rows.values()])}
    parts = Parts() if is_watched and watched.parts and insert is _assets else None
    if insert is _assets and written:
        await _replace_parts(connection, rows, written, parts)
    if insert is _profiles and written:
        await _replace_classes(connection, rows, written)
    for row_id, replaced in written.items():
        row = rows[row_id]
        news = not replaced or _is_news(row.version, Version.from_key(replaced))
        _note(applied, row, news=news)
        if is_watched and news and row.change is not None:
            effect = effects.effect_of(shape, former.get(row_id), row, replaced)
            if parts:
                effect.parts = parts.of(row_id, effect)
            applied.effects[id(row.change)] = effect
    return written


async def _ties(
    connection: AsyncConnection,
    insert: BulkInsert,
    rows: dict[str, StateRow],
    kind: str,
    written: dict[str, bytes | None],
    origin: Origin,
) -> list[RefreshAsked]:
    """The refreshes that equal seconds ask for."""
    ties = []
    for row_id, replaced in written.items():
        row = rows[row_id]
        older = [*row.versions[1:], *([Version.from_key(replaced)] if replaced else [])]
        # What was only listed, from no known moment, is no rival of a state that has one.
        rivals = [version for version in older if version.at_us is not None or row.version.at_us is None]
        if any(row.version.ties_with(version) for version in rivals):
            ties.append(row_id)
    unwritten = [row_id for row_id, row in rows.items() if row_id not in written and row.version.rank is not Rank.STUB]
    if unwritten:
        there = await rows_by_key(connection, insert.table, insert.key[0], unwritten, "version")
        ties += [row_id for row_id in unwritten if _ties_with_stored(rows[row_id], there.get(row_id))]
    return [_tie(kind, row_id, rows[row_id], origin) for row_id in ties]


async def _replace_parts(
    connection: AsyncConnection, rows: dict[str, StateRow], written: dict[str, Any], parts: Parts | None
) -> None:
    """Columns, terms and what else is a part belong to the state that was written last."""
    states = {asset_id: rows[asset_id].change for asset_id in written}
    known = [state for state in states.values() if isinstance(state, AssetSaved)]
    gone = [asset_id for asset_id, state in states.items() if state is not None and written[asset_id]]
    await replace_parts(connection, known, gone, parts)


async def replace_parts(
    connection: AsyncConnection, states: Sequence[AssetSaved], replaced: Sequence[str], parts: Parts | None = None
) -> None:
    """Write what belongs to these states of assets; `replaced` are the assets that had some before.

    Args:
        parts: is told what went and what came.
    """
    for insert, rows_of in ASSET_PARTS:
        gone: Sequence[Any] = ()
        if replaced:
            delete = sa.delete(insert.table).where(key_in(connection, insert.table.c.asset_id, replaced))
            if parts is None:
                await connection.execute(delete)
            else:
                gone = (await connection.execute(delete.returning(*insert.table.c))).all()
        rows = [row for state in states for row in rows_of(state)]
        await insert.run(connection, rows)
        if parts is not None:
            parts.replaced(insert, gone, rows)


async def _replace_classes(connection: AsyncConnection, rows: dict[str, StateRow], written: dict[str, Any]) -> None:
    """The classes of columns belong to the state of their profile that was written last."""
    states = [state for profile_id in written if isinstance(state := rows[profile_id].change, ProfileSaved)]
    replaced = [profile_id for profile_id, version in written.items() if version and rows[profile_id].change]
    await classes.replace(connection, states, replaced)


def _is_news(version: Version, replaced: Version) -> bool:
    """Whether the state differs from the one it replaced, not only its moment."""
    gone = (version.rank is Rank.DELETED, replaced.rank is Rank.DELETED)
    return replaced.rank is Rank.STUB or gone[0] != gone[1] or version.digest != replaced.digest


def _note(applied: Applied, row: StateRow, *, news: bool = True) -> None:
    applied.events.add(row.event)
    if row.change is not None and news:
        applied.effective.append((row.event, row.change))


def _ties_with_stored(row: StateRow, stored: Any) -> bool:
    return stored is not None and any(version.ties_with(Version.from_key(stored[1])) for version in row.versions)


def _tie(kind: str, row_id: str, row: StateRow, origin: Origin) -> RefreshAsked:
    container = getattr(row.change, "container", None)
    return RefreshAsked(kind, row_id, container, "same_second", TIE_REFRESH_DELAY_S, origin)


async def _write_lineage(connection: AsyncConnection, plan: Plan, applied: Applied, *, kept: bool) -> None:
    rows = plan.lineage_events
    written = {row[0]: row.replaces for row in await _lineage.run(connection, [row.values for row in rows.values()])}
    for event_id, replaced in written.items():
        # Told by somebody else in other words, it is the same event: kept, but no news.
        _note(applied, rows[event_id], news=not replaced or _is_later(rows[event_id].version, replaced))
    applied.ended = {event_id for event_id, replaced in written.items() if replaced and _had_ended(replaced)}
    unwritten = [event_id for event_id in rows if event_id not in written]
    if unwritten:
        there = await rows_by_key(connection, lineage_events, "event_id", unwritten, "own", "version")
        applied.ended |= {event_id for event_id, row in there.items() if _had_ended(row.version)}
        applied.own |= {rows[event_id].event for event_id in unwritten if event_id in there and there[event_id][1]}
    events = [change for id_ in written if isinstance(change := rows[id_].change, LineageRecorded)]
    whole = [event for event in events if not event.accumulates]
    changed = [event.event_id for event in whole if written[event.event_id]]
    if changed:
        await connection.execute(sa.delete(lineage_edges).where(key_in(connection, lineage_edges.c.event_id, changed)))
    edges = {*plan.added_edges, *(edge for event in whole for edge in edge_rows(event))}
    await _edges.run(connection, _one_each(edges))
    applied.originals = set(plan.originals)
    if not kept:
        applied.originals = {row[0] for row in await _originals.run(connection, await _not_kept(connection, plan))}
    await _write_assertions(connection, [row for id_ in applied.originals for row in plan.assertions.get(id_, ())])
    await facets.write(connection, plan.told)
    await identities.link(connection, [row for id_ in applied.originals for row in plan.links.get(id_, ())])
    if changed:
        await connection.execute(sa.delete(usage_facts).where(key_in(connection, usage_facts.c.event_id, changed)))
    told = [fact for event in whole for fact in event.usage]
    news = await write_facts(connection, [*plan.facts.values(), *told])
    applied.events |= {plan.fact_events[fact_id] for fact_id in news if fact_id in plan.fact_events}


async def _not_kept(connection: AsyncConnection, plan: Plan) -> list[tuple[Any, ...]]:
    """The OpenLineage events without those that the version before kept, under the ids that it gave."""
    there = await rows_by_key(connection, openlineage_events, "openlineage_id", list(plan.former), "document")
    kept = {
        original_id
        for former, row in there.items()
        for original_id in plan.former[former]
        if original_id != former and plan.originals[original_id].document == row.document
    }
    return [row for original_id, row in plan.originals.items() if original_id not in kept]


async def _write_assertions(connection: AsyncConnection, rows: list[Any]) -> None:
    """What is told of one data set in one run replaces what was; the view waits for nobody to see that."""
    if not rows:
        return
    await _assertions.run(connection, rows)
    there, newer = quality_assertions.c, quality_assertions.alias("newer").c
    replaced = sa.exists().where(newer.facet_id == there.facet_id, newer.version > there.version)
    mine = key_in(connection, there.facet_id, sorted({row.facet_id for row in rows}))
    await connection.execute(sa.delete(quality_assertions).where(mine, replaced))


def _had_ended(version: bytes) -> bool:
    return Version.from_key(version).ended


async def write_facts(connection: AsyncConnection, facts: Iterable[UsageObserved]) -> set[str]:
    """Insert facts of usage, the newest of each id; answers the ids of those that were news."""
    return {row[0] for row in await _facts.run(connection, [fact_row(fact) for fact in facts])}


def _is_later(version: Version, replaced: bytes) -> bool:
    return version.at_us != Version.from_key(replaced).at_us


def _one_each(edges: Iterable[Any]) -> list[Any]:
    """One row per key, the same whatever the order: of two that name an asset differently, one counts."""
    in_order = sorted(edges, key=lambda edge: [str(value) for value in edge])
    return list({(edge.event_id, edge.asset_id, edge.role): edge for edge in in_order}.values())


async def record_own_lineage(connection: AsyncConnection, events: Sequence[LineageRecorded]) -> set[str]:
    """Insert lineage events that we made, with their edges; answers the ids that were not there yet."""
    by_id = {event.event_id: event for event in events}
    rows = [lineage_row(event, own=True) for event in by_id.values()]
    written = {row[0] for row in await _own_lineage.run(connection, rows)}
    await _edges.run(connection, [edge for event_id in written for edge in edge_rows(by_id[event_id])])
    return written
