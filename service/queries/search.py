"""Search: what people call it, or begin to, or mistype, over everything that has a name.

Matches are told in three ranks: those whose name begins with what is asked for, those that have all words in their
name, those that have them anywhere (names of columns, terms, tags, descriptions, paths). Within a rank they are in the
order of their names. Each word counts as the beginning of one. Where nothing is found at all, words that are spelled
much alike stand in for those that were asked for, and the answer says so.

No question reads more than some thousands of things: of very many matches those are told that begin so, and others as
they come, and the answer says that there are more.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import QueryInvalid
from service.mirror.bulk import among
from service.queries.asked import Asked, Filters, Kind
from service.queries.counting import Count, Precision
from service.queries.cursors import cursor_of, place_of
from service.queries.matching import CANDIDATES, ranked_things
from service.queries.mistyped import meant_by
from service.queries.neighbours import told_names
from service.queries.relations import RELATIONS
from service.text.words import name_of, words_of

#: Things whose labels are counted.
COUNTED = 1000
#: Values of one facet that are told, those with most things.
MAX_VALUES = 20
#: Words of a question.
MAX_WORDS = 10


@dataclass(frozen=True, slots=True)
class Match:
    """One thing that was found."""

    kind: Kind
    id: str
    name: str | None
    type: str | None
    container_id: str | None
    container_name: str | None
    owner_id: str | None
    description: str | None
    changed_at: datetime | None
    #: Of an asset: columns whose names have what was asked for.
    columns: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Facet:
    """How many of the first matches have which value."""

    #: kind, type, container, owner, tag, term or class.
    name: str
    values: dict[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """A page of matches."""

    matches: list[Match]
    found: Count
    facets: list[Facet]
    #: Words that were not found → those that were looked for instead.
    corrected: dict[str, list[str]]
    #: Whether mistyped words can be found: on PostgreSQL `pg_trgm` has to be there.
    finds_mistyped: bool
    next: str | None


async def search(
    connection: AsyncConnection,
    text: str = "",
    filters: Filters | None = None,
    *,
    limit: int = 25,
    cursor: str | None = None,
) -> Found:
    """What is called so, and has all of this; without words, all that has it.

    What not every member of its container may see is not found.

    Raises:
        QueryInvalid: too many words, or the cursor is of another query.
    """
    filters, typed = filters or Filters(), name_of(text)
    words = list(dict.fromkeys(typed.split()))
    if len(words) > MAX_WORDS:
        raise QueryInvalid("The question has too many words", f"Ask by {MAX_WORDS} words at most.")
    told = [text, filters.told]
    place = place_of(cursor, told, (int, str, int, bool)) if cursor is not None else None
    if text.strip() and not words:  # of signs alone nothing is called
        return Found([], Count(0), [], {}, finds_mistyped=True, next=None)
    asked, finds_mistyped = Asked(typed, {word: [word] for word in words}, filters), True
    corrected: dict[str, list[str]] = {}
    is_corrected = place is not None and place[3]
    rows: Sequence[Any] = [] if is_corrected else await ranked_things(connection, asked, place, _needed(place, limit))
    if words and not rows and (place is None or is_corrected):
        corrected, finds_mistyped = await meant_by(connection, words)
        if corrected:
            rows = await ranked_things(connection, asked.instead(corrected), place, _needed(place, limit))
    page = rows[:limit]
    last = page[-1] if len(rows) > limit else None
    return Found(
        matches=await _matches(connection, page, asked.instead(corrected)),
        found=_count(rows),
        facets=[] if place else _facets(rows),
        corrected=corrected if rows else {},
        finds_mistyped=finds_mistyped,
        next=cursor_of(told, [last.rank, last.sort_name, last.seq, bool(corrected)]) if last else None,
    )


def _needed(place: Sequence[Any] | None, limit: int) -> int:
    """Of the first page, those that are counted; else one more than are told."""
    return max(limit + 1, COUNTED) if place is None else limit + 1


def _count(rows: Sequence[Any]) -> Count:
    if not rows:
        return Count(0)
    found = rows[0].found
    return Count(found) if found <= CANDIDATES else Count(CANDIDATES, Precision.AT_LEAST)


def _facets(rows: Sequence[Any]) -> list[Facet]:
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("kind", "type", "container", "owner", "tag", "term", "class")
    }
    for row in rows[:COUNTED]:
        single = (
            ("kind", row.kind),
            ("type", row.thing_type),
            ("container", row.container_id),
            ("owner", row.owner_id),
        )
        for name, value in single:
            if value:
                counts[name][value] += 1
        for name, values in json.loads(row.labels or "{}").items():
            counts[name].update(values)
    return [Facet(name, dict(_most(counter))) for name, counter in counts.items() if counter]


def _most(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda one: (-one[1], one[0]))[:MAX_VALUES]


async def _matches(connection: AsyncConnection, page: Sequence[Any], asked: Asked) -> list[Match]:
    """What the mirror says of these now; what is gone meanwhile, or not for everybody to see, is left out."""
    by_kind: dict[str, list[str]] = {}
    for row in page:
        by_kind.setdefault(row.kind, []).append(row.thing_id)
    assets = [*by_kind.get(Kind.ASSET, []), *by_kind.get(Kind.DATA_SET, [])]
    told = await _told_by(connection, "v1_assets", "asset_id", assets, "asset_type", "owner_id", "description")
    artifacts = by_kind.get(Kind.ARTIFACT, [])
    told_of_artifacts = await _told_by(
        connection, "v1_artifacts", "artifact_id", artifacts, "artifact_type", "steward_ids", "short_description"
    )
    containers = {one for row in page if (one := row.container_id)}
    places = await _places(connection, sorted(containers))
    called = await told_names(connection, by_kind.get(Kind.DATA_SET, []))
    columns = await _columns(connection, by_kind.get(Kind.ASSET, []), asked)
    matches = []
    for row in page:
        source = {Kind.ARTIFACT: told_of_artifacts, Kind.CONTAINER: places}.get(Kind(row.kind), told)
        now = source.get(row.thing_id)
        if now is None:
            continue
        name = now.name or called.get(row.thing_id, row.thing_id)
        place = places.get(now.container_id) if now.container_id else None
        matches.append(
            Match(Kind(row.kind), row.thing_id, name, now.type, now.container_id, place.name if place else None,
                  now.owner_id, _short(now.description), now.changed_at, columns.get(row.thing_id, []))
        )  # fmt: skip
    return matches


#: Characters of a description that are told.
_DESCRIBED = 300


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _DESCRIBED else text[: _DESCRIBED - 1] + "…"


async def _told_by(
    connection: AsyncConnection, view: str, key: str, ids: Sequence[str], type_: str, owner: str, description: str
) -> dict[str, Any]:
    relation = RELATIONS[view].c
    query = sa.select(
        relation[key].label("id"), relation.name, relation[type_].label("type"), relation.container_id,
        relation[owner].label("owner_id"), relation[description].label("description"), relation.changed_at,
    ).where(among(connection, relation[key], ids))  # fmt: skip
    return {row.id: row for row in (await connection.execute(query) if ids else ())}


#: Columns that are told of one asset, and that are looked through for a page.
_SHOWN_COLUMNS, _READ_COLUMNS = 5, 5000


async def _columns(connection: AsyncConnection, ids: Sequence[str], asked: Asked) -> dict[str, list[str]]:
    """By asset, the columns whose names have one of the words."""
    if not ids or not asked.words:
        return {}
    relation = RELATIONS["v1_asset_columns"].c
    query = sa.select(relation.asset_id, relation.name).where(among(connection, relation.asset_id, ids))
    rows = await connection.execute(query.order_by(relation.asset_id, relation.position).limit(_READ_COLUMNS))
    beginnings = tuple(one for meant in asked.words.values() for one in meant)
    found: dict[str, list[str]] = {}
    for asset_id, name in rows:
        shown = found.setdefault(asset_id, [])
        if len(shown) < _SHOWN_COLUMNS and any(word.startswith(beginnings) for word in words_of(name)):
            shown.append(name)
    return found


async def container_names(connection: AsyncConnection, container_ids: Sequence[str]) -> dict[str, str]:
    """The names of containers, as far as they are known."""
    return {place.id: place.name for place in (await _places(connection, container_ids)).values() if place.name}


async def _places(connection: AsyncConnection, container_ids: Sequence[str]) -> dict[str, Any]:
    told = "kind", "creator_id", "description"
    return await _told_by(connection, "v1_containers", "container_id", container_ids, *told)
