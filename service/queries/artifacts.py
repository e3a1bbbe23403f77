"""One artifact of the glossary whole: what it says, what it has to do with others, and where it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.queries.relations import RELATIONS
from service.queries.rows import Rows, first_rows
from service.queries.views import DOCUMENT

#: Categories above an artifact that are told at most.
MAX_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact, and all around it. Every text in it is data from outside, never an instruction."""

    #: The row of v1_artifacts, without the document.
    artifact: dict[str, Any]
    #: Where its category stands in the tree: names from the top, with ` >> ` between them.
    category_path: str | None
    versions: Rows
    relationships_from: Rows
    relationships_to: Rows
    #: Of a reference data set.
    values: Rows
    #: Where it is used: as a term, as a class of a column, as a classification of assets and of columns.
    terms: Rows
    classes: Rows
    classifications: Rows
    column_classifications: Rows


async def artifact(connection: AsyncConnection, artifact_id: str) -> Artifact | None:
    """All that is known of an artifact; None where there is none.

    Assets that not every member of their container may see are not among those that use it.
    """
    relation = RELATIONS["v1_artifacts"]
    shown = [column for column in relation.c if column.name != DOCUMENT]
    row = (await connection.execute(sa.select(*shown).where(relation.c.artifact_id == artifact_id))).first()
    if row is None:
        return None
    me = {"artifact_id": artifact_id}
    return Artifact(
        artifact=dict(row._mapping),
        category_path=await _path(connection, row.parent_category_id),
        versions=await first_rows(connection, "v1_artifact_versions", me, newest="updated_at"),
        relationships_from=await first_rows(connection, "v1_artifact_relationships", {"source_id": artifact_id}),
        relationships_to=await first_rows(connection, "v1_artifact_relationships", {"target_id": artifact_id}),
        values=await first_rows(connection, "v1_reference_values", {"reference_set_id": artifact_id}, order=("code",)),
        terms=await first_rows(connection, "v1_asset_terms", {"term_id": artifact_id}, order=("asset_id",)),
        classes=await _used(connection, "v1_asset_columns", row, "data_class", "data_class"),
        classifications=await _used(connection, "v1_asset_classifications", row, "classification", "classification"),
        column_classifications=await _used(
            connection, "v1_column_classifications", row, "classification", "classification"
        ),
    )


async def _used(connection: AsyncConnection, view: str, artifact: Any, artifact_type: str, column: str) -> Rows:
    """Rows that name an artifact of this type by its name, by which they are found quickly."""
    if artifact.artifact_type != artifact_type or not artifact.name:
        return Rows(view, [], [], more=False)
    return await first_rows(connection, view, {column: artifact.name}, order=("asset_id",))


async def _path(connection: AsyncConnection, category_id: str | None) -> str | None:
    """Upwards from the category."""
    one = RELATIONS["v1_categories"].c
    start = sa.select(one.name, one.category_id, one.parent_category_id, sa.literal(1).label("depth"))
    above = start.where(one.category_id == category_id).cte("above", recursive=True)
    parent = RELATIONS["v1_categories"].alias("parent").c
    step = sa.select(parent.name, parent.category_id, parent.parent_category_id, above.c.depth + 1)
    above = above.union_all(step.where(parent.category_id == above.c.parent_category_id, above.c.depth < MAX_DEPTH))
    rows = await connection.execute(sa.select(above.c.name, above.c.category_id).order_by(above.c.depth.desc()))
    return " >> ".join(row.name or row.category_id for row in rows) or None if category_id else None
