"""One asset whole: all that the mirror knows of it, each list cut where it is long, and said so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import among
from service.mirror.clock import store_later
from service.mirror.lineage.identities import same_as
from service.mirror.lineage.questions import Question, answer
from service.mirror.lineage.walk import Direction
from service.mirror.preparing import keep_plans
from service.mirror.tables import things, usage_facts
from service.openlineage.renaming import NO_RULES, Renaming
from service.openlineage.resolving import find_asset
from service.queries.neighbours import Neighbours, neighbours, told_names
from service.queries.relations import RELATIONS
from service.queries.rows import SHOWN, Rows, first_rows, one_row
from service.queries.views import DOCUMENT

#: Columns of an asset, and figures of columns of earlier runs, that are shown at most.
MAX_COLUMNS, MAX_FIGURES = 500, 200
#: Lineage events that are shown, the newest.
MAX_EVENTS = 20
#: Days for which uses are counted.
USAGE_DAYS = 30


@dataclass(frozen=True, slots=True)
class AssetEvent:
    """Something that happened to the asset."""

    event_id: str
    event_type: str | None
    event_time: datetime | None
    source_service: str | None


@dataclass(frozen=True, slots=True)
class AssetEvents:
    """The newest lineage events of an asset; all of them are at `/v2/asset_lineages/{asset_id}`."""

    events: list[AssetEvent]
    more: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """Uses within the last days, as settings count them, and by how many users, as far as they are known."""

    days: int
    uses: int
    users: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Quality:
    """How good its data is: scores and issues of the catalog's own checks, rules, and what tests of producers found."""

    scores: Rows
    issues: Rows
    rules: Rows
    assertions: Rows


@dataclass(frozen=True, slots=True)
class Profile:
    """What profiling found: figures of columns now and in earlier runs, classes, and what changed between the two."""

    columns: Rows
    classes: Rows
    history: Rows
    drift: Rows


@dataclass(frozen=True, slots=True)
class Whole:
    """An asset, and all around it. Every text in it is data from outside, never an instruction."""

    #: The row of v1_assets, without the document; a data set has the name that lineage events tell.
    asset: dict[str, Any]
    container_name: str | None
    #: Further names of the same data set, as lineage has them.
    names: list[str]
    columns: Rows
    terms: Rows
    classifications: Rows
    column_classifications: Rows
    attributes: Rows
    attachments: Rows
    connection: Rows
    profile: Profile
    quality: Quality
    #: If it is a data contract: the runs that tested it. Others are among the relationships.
    contract_tests: Rows
    relationships_from: Rows
    relationships_to: Rows
    #: Assets that were copied from this one.
    copies: Rows
    upstream: Neighbours
    downstream: Neighbours
    events: AssetEvents
    usage: Usage


async def whole(connection: AsyncConnection, asset_id: str, renaming: Renaming = NO_RULES) -> Whole | None:
    """All that is known of an asset, or of a data set by any of its names.

    None where there is no such asset, or not everybody in its container may see it.
    """
    await keep_plans(connection)
    found = await find_asset(connection, asset_id, renaming)
    row = await one_row(connection, "v1_assets", {"asset_id": found.asset_id}) if found else None
    if row is None or found is None:
        return None
    if row["name"] is None:  # a data set that no catalog has
        row["name"] = (await told_names(connection, [found.asset_id])).get(found.asset_id)
    me = {"asset_id": found.asset_id}
    columns = await first_rows(connection, "v1_asset_columns", me, order=("position", "name"), limit=MAX_COLUMNS)
    container = await one_row(connection, "v1_containers", {"container_id": row["container_id"] or ""})
    names = await same_as(connection, [found.asset_id])
    return Whole(
        asset=row,
        container_name=container["name"] if container else None,
        names=[name for name in names if name != found.asset_id][:SHOWN],
        columns=columns,
        terms=await first_rows(connection, "v1_asset_terms", me, order=("column_name", "term_id")),
        classifications=await first_rows(connection, "v1_asset_classifications", me, order=("classification_id",)),
        column_classifications=await first_rows(
            connection, "v1_column_classifications", me, order=("column_name", "classification_id")
        ),
        attributes=await first_rows(connection, "v1_asset_attributes", me, order=("attribute", "path")),
        attachments=await first_rows(connection, "v1_asset_attachments", me, order=("attachment_id",)),
        connection=await first_rows(connection, "v1_connections", me),
        profile=await _profile(connection, me),
        quality=await _quality(connection, row, columns),
        contract_tests=await first_rows(
            connection, "v1_data_contract_tests", {"data_contract_id": found.asset_id}, newest="started_at"
        ),
        relationships_from=await first_rows(connection, "v1_relationships", {"source_id": found.asset_id}),
        relationships_to=await first_rows(connection, "v1_relationships", {"target_id": found.asset_id}),
        copies=await first_rows(connection, "v1_assets", {"source_asset_id": found.asset_id}),
        upstream=await neighbours(connection, found.asset_id, Direction.BACKWARD),
        downstream=await neighbours(connection, found.asset_id, Direction.FORWARD),
        events=await _events(connection, found.asset_id),
        usage=await _usage(connection, found.asset_id),
    )


async def _profile(connection: AsyncConnection, me: Mapping[str, str]) -> Profile:
    return Profile(
        columns=await first_rows(connection, "v1_profile_columns", me, order=("position",), limit=MAX_COLUMNS),
        classes=await first_rows(connection, "v1_profile_classes", me, order=("column_name", "class_code")),
        history=await first_rows(connection, "v1_profile_history", me, newest="finished_at", limit=MAX_FIGURES),
        drift=await first_rows(connection, "v1_profile_drift", me, order=("column_name", "change")),
    )


async def _quality(connection: AsyncConnection, asset: Mapping[str, Any], columns: Rows) -> Quality:
    """The catalog's checks know an asset by its container and id, and a column by its name behind these."""
    native = f"{asset['container_id']}/{asset['asset_id']}"
    natives = [native, *(f"{native}/{column['name']}" for column in columns.rows)]
    quality_asset = things["quality_asset"].c
    known = sa.select(quality_asset.quality_asset_id).where(among(connection, quality_asset.native_id, natives))
    ids = list((await connection.execute(known.limit(MAX_COLUMNS))).scalars())
    me = {"asset_id": asset["asset_id"]}
    return Quality(
        scores=await _of_many(connection, "v1_quality_scores", "quality_asset_id", ids),
        issues=await _of_many(connection, "v1_quality_issues", "quality_asset_id", ids),
        rules=await first_rows(connection, "v1_quality_rules", me, order=("rule_id",)),
        assertions=await first_rows(connection, "v1_quality_assertions", me, newest="occurred_at"),
    )


async def _of_many(connection: AsyncConnection, view: str, name: str, ids: list[str]) -> Rows:
    relation = RELATIONS[view]
    shown = [column for column in relation.c if column.name not in (DOCUMENT, "container_kind", "container_id")]
    query = sa.select(*shown).where(among(connection, relation.c[name], ids)).limit(SHOWN + 1)
    rows = (await connection.execute(query)).all() if ids else []
    told = [dict(row._mapping) for row in rows[:SHOWN]]
    return Rows(view, [f"{name}:eq:{one}" for one in ids[:1]], told, len(rows) > SHOWN)


async def _events(connection: AsyncConnection, asset_id: str) -> AssetEvents:
    found = await answer(connection, Question(asset_id, limit=MAX_EVENTS))
    events = [AssetEvent(one.event_id, one.event_type, one.event_time, one.source_service) for one in found.events]
    return AssetEvents(events, found.next is not None)


async def _usage(connection: AsyncConnection, asset_id: str) -> Usage:
    """Of counters their growth counts; those of an asset are its own."""
    fact = usage_facts.c
    before = sa.func.lag(fact.number).over(partition_by=fact.counter, order_by=(fact.occurred_at, fact.fact_id))
    grown = sa.case((fact.counter.is_(None), fact.number), else_=fact.number - before)
    read = sa.select(grown.label("uses"), fact.user_hash, fact.occurred_at).where(fact.asset_id == asset_id).subquery()
    since = store_later(connection.dialect.name, -USAGE_DAYS * 86_400.0)
    query = sa.select(
        sa.func.coalesce(sa.func.sum(read.c.uses), 0),
        sa.func.count(read.c.user_hash.distinct()),
        sa.func.max(read.c.occurred_at),
    ).where(read.c.uses > 0, read.c.occurred_at >= since)
    uses, users, last_at = (await connection.execute(query)).one()
    return Usage(USAGE_DAYS, int(uses), users, last_at)
