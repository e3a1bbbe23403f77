"""The tools: what each is for, what it takes, and what it asks of the mirror. None of them writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import QueryInvalid
from service.mirror.lineage.columns import impact, nodes_of
from service.mirror.lineage.walk import Direction
from service.openlineage.renaming import Renaming
from service.openlineage.resolving import find_asset
from service.queries import parts, views
from service.queries.artifacts import artifact
from service.queries.asked import Filters, Kind
from service.queries.assets import Whole, whole
from service.queries.neighbours import neighbours
from service.queries.rows import Rows
from service.queries.search import search
from service.text.documents import fitted

#: Things of one answer at most, and characters of a text that is asked by.
MAX_THINGS, MAX_TEXT = 50, 500
#: Edges that a question about a column may read.
MAX_EDGES = 20_000

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Id = Annotated[str, Meta(min_length=1, max_length=1024)]
Moment = Annotated[datetime, Meta(tz=True)]
Several = Annotated[list[Id], Meta(max_length=10)]
Limit = Annotated[int, Meta(ge=1, le=MAX_THINGS, description="Things at most.")]
Cursor = Annotated[str, Meta(max_length=8000, description="`next` of the answer before, all else unchanged.")] | None
AssetId = Annotated[
    str, Meta(min_length=1, max_length=1024, description="Id of the asset or data set, as search tells.")
]


class Arguments(Struct, frozen=True, forbid_unknown_fields=True):
    """What a tool takes; what it does not know is refused."""


class SearchFor(Arguments, frozen=True):
    """Words, and what things have to have."""

    text: Annotated[str, Meta(max_length=MAX_TEXT, description="Words or their beginnings; empty: all.")] = ""
    kinds: Annotated[list[Kind], Meta(max_length=4)] = msgspec.field(default_factory=list)
    types: Several = msgspec.field(default_factory=list)
    containers: Several = msgspec.field(default_factory=list)
    terms: Several = msgspec.field(default_factory=list)
    classes: Several = msgspec.field(default_factory=list)
    owners: Several = msgspec.field(default_factory=list)
    tags: Several = msgspec.field(default_factory=list)
    changed_since: Moment | None = None
    limit: Limit = 25
    cursor: Cursor = None


class OfAsset(Arguments, frozen=True):
    """One asset."""

    asset_id: AssetId


class ByClass(Arguments, frozen=True):
    """A data class."""

    data_class: Annotated[str, Meta(min_length=1, max_length=1000, description="Such as `Email Address`, whole.")]
    limit: Limit = 25
    cursor: Cursor = None


class Way(StrEnum):
    """Which way along the lineage."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


class Lineage(Arguments, frozen=True):
    """An asset, a direction, and how far."""

    asset_id: AssetId
    direction: Way
    depth: Annotated[int, Meta(ge=1, le=20, description="Steps at most.")] = 3
    limit: Limit = 50


class ImpactOf(Arguments, frozen=True):
    """An asset, or one of its columns, that may change or go."""

    asset_id: AssetId
    column: Annotated[str, Meta(max_length=1024, description="Of the asset; without one the whole of it.")] | None = (
        None
    )


class FreshnessOf(Arguments, frozen=True):
    """A kind of thing, or all."""

    kind: Annotated[str, Meta(max_length=100, description="Such as asset or data_profile; none: all.")] | None = None


class DriftOf(Arguments, frozen=True):
    """Where and since when."""

    asset_id: Id | None = None
    change: (
        Annotated[str, Meta(max_length=20, description="added, gone, retyped, reclassified, nulls, distinct or rows.")]
        | None
    ) = None
    since: Moment | None = None
    limit: Limit = 25
    cursor: Cursor = None


class Glossary(Arguments, frozen=True):
    """A term, or another artifact: by its id, or what it may be called."""

    text: Text = ""
    artifact_id: Id | None = None
    limit: Limit = 10
    cursor: Cursor = None


@dataclass(frozen=True, slots=True)
class Mirror:
    """What tools ask: a connection that reads, and how settings rename data sets."""

    connection: AsyncConnection
    renaming: Renaming

    async def asset(self, asset_id: str) -> Whole:
        """One asset whole.

        Raises:
            QueryInvalid: it is not there, or not for everybody to see.
        """
        found = await whole(self.connection, asset_id, self.renaming)
        if found is None:
            raise _unknown(asset_id)
        return found

    async def known(self, asset_id: str) -> str:
        """The id by which lineage has an asset.

        Raises:
            QueryInvalid: as `asset`.
        """
        found = await find_asset(self.connection, asset_id, self.renaming)
        if found is None:
            raise _unknown(asset_id)
        return found.asset_id


def _unknown(asset_id: str) -> QueryInvalid:
    return QueryInvalid(f"There is no asset {asset_id!r}", "Look for it with the tool `search`, which tells ids.")


async def _search(mirror: Mirror, asked: SearchFor) -> Any:
    chosen = Filters(
        tuple(asked.kinds), tuple(asked.types), tuple(asked.containers), tuple(asked.terms), tuple(asked.classes),
        tuple(asked.owners), tuple(asked.tags), asked.changed_since,
    )  # fmt: skip
    return await search(mirror.connection, asked.text, chosen, limit=asked.limit, cursor=asked.cursor)


async def _describe(mirror: Mirror, asked: OfAsset) -> Any:
    return _brief(await mirror.asset(asked.asset_id))


def _brief(found: Any) -> Any:
    """The same with lists of at most so many rows; each says where all of them are."""
    if isinstance(found, Rows):
        return replace(found, rows=found.rows[:MAX_THINGS], more=found.more or len(found.rows) > MAX_THINGS)
    if is_dataclass(found) and not isinstance(found, type):
        return replace(found, **{field.name: _brief(getattr(found, field.name)) for field in fields(found)})
    return found


async def _columns_by_class(mirror: Mirror, asked: ByClass) -> Any:
    condition = views.Condition("data_class", views.Operator.EQUAL, asked.data_class)
    return await _page(mirror, "v1_asset_columns", [condition], asked.limit, asked.cursor)


async def _lineage(mirror: Mirror, asked: Lineage) -> Any:
    direction = Direction.BACKWARD if asked.direction is Way.UPSTREAM else Direction.FORWARD
    asset_id = await mirror.known(asked.asset_id)
    return await neighbours(mirror.connection, asset_id, direction, depth=asked.depth, limit=asked.limit)


async def _impact(mirror: Mirror, asked: ImpactOf) -> Any:
    asset_id = await mirror.known(asked.asset_id)
    if asked.column is None:
        return await neighbours(mirror.connection, asset_id, Direction.FORWARD, depth=None, limit=MAX_THINGS)
    nodes = await nodes_of(mirror.connection, asset_id, asked.column)
    if not nodes:
        raise QueryInvalid(
            f"{asked.asset_id!r} has no column {asked.column!r}", "The tool `describe_asset` tells its columns."
        )
    found = (await impact(mirror.connection, nodes, max_edges=MAX_EDGES)).data()
    cut = {name: len(values) for name, values in found.items() if isinstance(values, list) and len(values) > MAX_THINGS}
    return {
        **{name: values[:MAX_THINGS] if isinstance(values, list) else values for name, values in found.items()},
        "more_than_told": cut,
    }


async def _freshness(mirror: Mirror, asked: FreshnessOf) -> Any:
    every = await parts.freshness(mirror.connection)
    return [one for one in every if asked.kind in (None, one.kind)]


async def _drift(mirror: Mirror, asked: DriftOf) -> Any:
    told = (("asset_id", "eq", asked.asset_id), ("change", "eq", asked.change), ("after_at", "gte", asked.since))
    conditions = [
        views.Condition(name, views.Operator(operator), value) for name, operator, value in told if value is not None
    ]
    return await _page(mirror, "v1_profile_drift", conditions, asked.limit, asked.cursor)


async def _quality(mirror: Mirror, asked: OfAsset) -> Any:
    found = await mirror.asset(asked.asset_id)
    told = {"quality": found.quality, "contract_tests": found.contract_tests, "profile": found.profile.columns}
    return {name: _brief(part) for name, part in told.items()}


async def _glossary(mirror: Mirror, asked: Glossary) -> Any:
    if asked.artifact_id is None:
        chosen = Filters((Kind.ARTIFACT,))
        return await search(mirror.connection, asked.text, chosen, limit=asked.limit, cursor=asked.cursor)
    found = await artifact(mirror.connection, asked.artifact_id)
    if found is None:
        raise QueryInvalid(f"There is no artifact {asked.artifact_id!r}", "Look for it by `text`, which tells ids.")
    return _brief(found)


async def _page(
    mirror: Mirror, view: str, conditions: list[views.Condition], limit: int, cursor: str | None
) -> dict[str, Any]:
    page = await views.page(mirror.connection, view, conditions=conditions, limit=limit, cursor=cursor)
    return {"rows": [dict(zip(page.columns, row, strict=True)) for row in page.rows], "next": page.next}


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool."""

    name: str
    meaning: str
    takes: type[Arguments]
    answer: Callable[[Mirror, Any], Awaitable[Any]]

    def schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema of an object."""
        _, known = msgspec.json.schema_components([self.takes], ref_template="#/$defs/{name}")
        mine: dict[str, Any] = known.pop(self.takes.__name__)
        mine.pop("title", None)
        return mine | ({"$defs": known} if known else {})

    def arguments(self, given: dict[str, Any]) -> Arguments:
        """What was given.

        Raises:
            QueryInvalid: it is not what the tool takes.
        """
        try:
            return fitted(given, self.takes)
        except msgspec.ValidationError as error:
            raise QueryInvalid(
                f"The arguments of {self.name} cannot be used: {error}", "Its schema tells them."
            ) from None


#: Every tool by its name.
TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("search", "Find assets, data sets, artifacts of the glossary and containers by words, beginnings of words "
             "or mistyped words, and by type, container, term, class, owner, tag or time of change. Answers ids.",
             SearchFor, _search),
        Tool("describe_asset", "One asset with its columns, terms, classifications, profile, quality, neighbours "
             "in the lineage, relationships, uses and newest events.", OfAsset, _describe),
        Tool("columns_by_class", "Columns of any asset that have a data class, such as all with e-mail addresses.",
             ByClass, _columns_by_class),
        Tool("lineage", "What an asset was made of (upstream), or what was made of it (downstream), step by step.",
             Lineage, _lineage),
        Tool("impact", "What may break if an asset, or one of its columns, changes or goes.", ImpactOf, _impact),
        Tool("freshness", "How far the mirror can be trusted: per kind of thing when the worst container was last "
             "read, and what differs or cannot be read.", FreshnessOf, _freshness),
        Tool("drift", "What changed between the newest two profiling runs of data assets: columns added or gone, "
             "types, classes, shares of empty and of different values, numbers of rows.", DriftOf, _drift),
        Tool("quality", "Scores, issues, rules and tests of one asset, and figures of its columns.", OfAsset, _quality),
        Tool("glossary", "Business terms, classifications, data classes, policies and rules: found by text, or one "
             "whole by its id with where it is used.", Glossary, _glossary),
    )
}  # fmt: skip
