"""The catalog's questions about the lineage of an asset, answered from the mirror.

What each means is told in docs/contract.md, "Lineage questions"; what the catalog leaves open is told in
docs/lineage.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import among
from service.mirror.clock import store_later
from service.mirror.lineage.columns import ColumnGraph
from service.mirror.lineage.events import EVENT_COLUMNS, PRIVATE_MODES, EventRow, is_shown
from service.mirror.lineage.identities import identities_of, identity_of, same_as
from service.mirror.lineage.walk import MAX_EDGES, Direction, events_at, made_something, walk
from service.mirror.tables import assets, column_facets, lineage_edges, lineage_events


class LineageType(StrEnum):
    """Which events belong to the lineage of an asset."""

    #: Those that generated it, happened on it, or used it.
    PARTIAL = "partial"
    #: Those that generated it, and those that used it, directly or not, to generate other assets.
    FORWARD = "forward"
    #: The same, for a number of other assets, with a number of events each.
    FORWARD_HOP = "forward_hop"
    #: Those that it came from, directly or not.
    BACKWARD = "backward"


#: Seconds that a transaction may take to commit: so long before the first page a row may be written and not be seen.
SETTLING_S = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended, so that the next one goes on there, whatever was written since.

    A run moves to the front when it goes on, past pages that were read. So once the last event was shown, those whose
    state was replaced since the first page are shown as they are now (`again`).
    """

    event_id: str
    #: Of the last event; of `again`, when its row was written.
    at: datetime | None
    #: When the first page was read, less `SETTLING_S`.
    since: datetime
    again: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one asset; the defaults are the catalog's."""

    asset_id: str
    lineage_type: LineageType = LineageType.PARTIAL
    limit: int = 50
    offset: int = 0
    #: Where the page before ended; then `offset` says nothing.
    place: Place | None = None
    #: Only events after this moment.
    after: datetime | None = None
    #: Of `forward_hop`: other assets at most, and events of each.
    hop_count: int = 4
    event_count: int = 10
    #: Runs that failed or were aborted count, too; else they made nothing of what they name.
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of events, the newest first, and where the next one begins, if there is one."""

    events: list[EventRow]
    next: Place | None
    #: The graph is wider than a question may read.
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Asset:
    """What the mirror knows of an asset that lineage is asked for."""

    asset_id: str
    name: str | None = None
    asset_type: str | None = None
    container_kind: str | None = None
    container_id: str | None = None


async def find_asset(connection: AsyncConnection, asset_id: str) -> Asset | None:
    """The asset, also one that is deleted or that only events name; by a further name what that stands for.

    None where nothing knows it, or not everybody may see it.
    """
    known = assets.c
    columns = (known.asset_id, known.name, known.asset_type, known.container_kind, known.container_id)
    query = sa.select(*columns, known.visibility_mode).where(known.asset_id == asset_id)
    row = (await connection.execute(query)).first()
    if row is not None and row.visibility_mode in PRIVATE_MODES:
        return None
    named = {} if row is not None and row.container_id else await identities_of(connection, [asset_id])
    if named.get(asset_id, asset_id) != asset_id:
        return await find_asset(connection, named[asset_id])
    if row is not None:
        return Asset(*row[:5])
    edge = lineage_edges.c
    query = sa.select(edge.asset_id, edge.name, edge.asset_type, edge.container_kind, edge.container_id)
    told = (await connection.execute(query.where(edge.asset_id == asset_id).limit(1))).first()
    return Asset(*told) if told is not None else Asset(asset_id) if named else None


async def find_named(connection: AsyncConnection, text: str, limit: int) -> list[Asset]:
    """Assets that people may call so: by their name, or by the end of an id that is a path; in the order of their ids.

    Those that not everybody may see are not among them.
    """
    known, edge = assets.c, lineage_edges.c
    columns = (known.asset_id, known.name, known.asset_type, known.container_kind, known.container_id)
    shown = is_shown(known.visibility_mode)
    ends = [known.asset_id.endswith(f"{before}{text}", autoescape=True) for before in "/."]
    called = sa.or_(sa.func.lower(known.name) == text.lower(), *ends)
    rows = await connection.execute(
        sa.select(*columns).where(called, shown, known.deleted_at.is_(None)).order_by(known.asset_id).limit(limit)
    )
    found = {row.asset_id: Asset(*row) for row in rows}
    told = sa.select(edge.asset_id, sa.func.min(edge.name)).where(sa.func.lower(edge.name) == text.lower())
    told = told.group_by(edge.asset_id).order_by(edge.asset_id).limit(limit)
    for asset_id, name in (await connection.execute(told)).all():
        if asset_id not in found and (one := await find_asset(connection, asset_id)) is not None:
            found[asset_id] = one if one.name else replace(one, name=name)
    several = await identities_of(connection, list(found))
    for asset_id, identity in several.items():
        one = found.pop(asset_id)
        if identity not in found and (whole := await find_asset(connection, identity)) is not None:
            found[identity] = whole if whole.name else replace(whole, name=one.name)
    return sorted(found.values(), key=lambda one: one.asset_id)[:limit]


async def answer(connection: AsyncConnection, question: Question, max_edges: int = MAX_EDGES) -> Answer:
    """Answer a question."""
    if question.lineage_type is LineageType.PARTIAL:
        names = await same_as(connection, [question.asset_id])
        return await _page(connection, question, _events_on(connection, names))
    if question.lineage_type is LineageType.FORWARD_HOP:
        ids, cut = await _few(connection, question, max_edges)
    else:
        ids, cut = await _all(connection, question, max_edges)
    return await _page(connection, question, among(connection, lineage_events.c.event_id, ids), cut)


async def answer_of_columns(connection: AsyncConnection, question: Question, told: ColumnGraph) -> Answer:
    """The events that tell the links of a graph of columns."""
    facet, event = column_facets.c, lineage_events.c
    tells = sa.select(facet.event_id).where(among(connection, facet.flow_id, sorted(told.flows)))
    counts = sa.true() if question.failed else made_something(event.event_type)
    return await _page(connection, question, sa.and_(event.event_id.in_(tells), counts), told.cut)


async def is_connected(connection: AsyncConnection, asset_id: str, seed: str, max_edges: int = MAX_EDGES) -> bool:
    """Whether an asset is part of the lineage of another one."""
    asset_id = await identity_of(connection, asset_id)
    for direction in Direction:
        if asset_id in (await walk(connection, seed, direction, max_edges=max_edges)).assets:
            return True
    return False


def _events_on(connection: AsyncConnection, names: Collection[str]) -> sa.ColumnElement[bool]:
    edge = lineage_edges.c
    return lineage_events.c.event_id.in_(sa.select(edge.event_id).where(among(connection, edge.asset_id, names)))


async def _all(connection: AsyncConnection, question: Question, max_edges: int) -> tuple[set[str], bool]:
    forward = question.lineage_type is LineageType.FORWARD
    direction = Direction.FORWARD if forward else Direction.BACKWARD
    failed = question.failed
    reach = await walk(connection, question.asset_id, direction, failed=failed, max_edges=max_edges)
    if not forward:
        return set(reach.events), reach.cut
    origin = await events_at(connection, reach.names, "generates", max_edges, failed=failed)
    return {*origin, *reach.events}, reach.cut


async def _few(connection: AsyncConnection, question: Question, max_edges: int) -> tuple[set[str], bool]:
    """Events of the nearest other assets, the newest of each, and those that generated the asset itself."""
    enough = question.hop_count
    reach = await walk(
        connection, question.asset_id, Direction.FORWARD, enough_assets=enough, failed=question.failed,
        max_edges=max_edges,
    )  # fmt: skip
    others = sorted(reach.assets, key=lambda asset_id: (reach.assets[asset_id], asset_id))[1 : enough + 1]
    times = await _times(connection, {event_id for other in others for event_id in reach.ways[other]})
    chosen = await events_at(connection, reach.names, "generates", max_edges, failed=question.failed)
    for other in others:
        newest = sorted(reach.ways[other], key=lambda event_id: (times[event_id], event_id), reverse=True)
        chosen.update(newest[: question.event_count])
    return chosen, reach.cut


async def _times(connection: AsyncConnection, ids: Collection[str]) -> dict[str, str]:
    event = lineage_events.c
    query = sa.select(event.event_id, event.event_time).where(among(connection, event.event_id, ids))
    return {
        row.event_id: row.event_time.isoformat() if row.event_time else "" for row in await connection.execute(query)
    }


async def _page(connection: AsyncConnection, question: Question, chosen: Any, cut: bool = False) -> Answer:
    """One page of the chosen events; those without a time come last."""
    event, place = lineage_events.c, question.place
    since = store_later(connection.dialect.name, -SETTLING_S).label("since")
    query = sa.select(*EVENT_COLUMNS, event.mirrored_at, since).where(chosen)
    if question.after is not None:
        query = query.where(event.event_time > question.after)
    if place is None:
        page = _newest_first(query).offset(question.offset)
    elif place.again:
        page = _moved(query, place)
    else:
        page = _newest_first(query.where(_behind(place)))
    rows = (await connection.execute(page.limit(question.limit + 1))).all()
    shown = rows[: question.limit]
    following: Place | None = None
    if len(rows) > question.limit:
        again = place is not None and place.again
        last, start = shown[-1], place.since if place else shown[-1].since
        following = Place(last.event_id, last.mirrored_at if again else last.event_time, start, again)
    elif place and not place.again:
        second = Place("", place.since, place.since, again=True)
        if (await connection.execute(_moved(query, second).limit(1))).first() is not None:
            following = second
    return Answer([EventRow(*row[: len(EVENT_COLUMNS)]) for row in shown], following, cut)


def _newest_first(query: sa.Select[Any]) -> sa.Select[Any]:
    event = lineage_events.c
    return query.order_by(event.event_time.desc().nulls_last(), event.event_id)


def _behind(place: Place) -> sa.ColumnElement[bool]:
    """What comes after this place, newest first."""
    event = lineage_events.c
    if place.at is None:
        return sa.and_(event.event_time.is_(None), event.event_id > place.event_id)
    same = sa.and_(event.event_time == place.at, event.event_id > place.event_id)
    return sa.or_(event.event_time < place.at, same, event.event_time.is_(None))


def _moved(query: sa.Select[Any], place: Place) -> sa.Select[Any]:
    """What got another state since the first page, in the order of writing: what moves again is shown again."""
    event = lineage_events.c
    same = sa.and_(event.mirrored_at == place.at, event.event_id > place.event_id)
    later = query.where(event.replaces.is_not(None), sa.or_(event.mirrored_at > place.at, same))
    return later.order_by(event.mirrored_at, event.event_id)
