"""The kinds of things that are mirrored alike: what each is called, and what people ask about it.

Assets, profiles, lineage and containers have changes and tables of their own; every other kind is a `ThingSaved` whose
values stand in the order of the fields declared here. Where a field is found in the catalog's JSON is told in
`service.events.things`; tables, views and docs/mirror.md follow this page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldType = Literal["text", "integer", "number", "truth", "time"]


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its name, its type, and what it means to who reads it."""

    name: str
    type: FieldType
    comment: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing.

    `id_name` is the key's column; `asset` names the field that holds the id of the asset the thing belongs to, so that
    it is shown only while that asset is.
    """

    name: str
    table: str
    id_name: str
    comment: str
    fields: tuple[Field, ...]
    asset: str | None = None


def _text(name: str, comment: str) -> Field:
    return Field(name, "text", comment)


def _integer(name: str, comment: str) -> Field:
    return Field(name, "integer", comment)


def _number(name: str, comment: str) -> Field:
    return Field(name, "number", comment)


def _truth(name: str, comment: str) -> Field:
    return Field(name, "truth", comment)


def _time(name: str, comment: str) -> Field:
    return Field(name, "time", comment)


_NAME = _text("name", "As the catalog shows it")
_DESCRIPTION = _text("description", "As the catalog shows it")
_CREATED = _time("created_at", "When it was created")
_UPDATED = _time("updated_at", "When it was last changed, as the catalog says")

_KINDS = (
    Kind(
        "member", "members", "member_id", "Who may do what in a container",
        (
            _text("principal_id", "The user's or the group's id"),
            _text("principal_type", "user, group or service"),
            _text("role", "As the catalog words it: admin, editor, viewer"),
            _text("state", "As the catalog words it, where it says so"),
            _time("added_at", "When the role was given"),
        ),
    ),
    Kind(
        "asset_type", "asset_types", "asset_type_id", "Types of assets, per container",
        (
            _NAME, _DESCRIPTION,
            _integer("type_version", "Version of the definition"),
            _truth("is_attribute_only", "No assets of this type exist, only attributes"),
            _truth("is_column_attribute", "It describes columns"),
        ),
    ),
    Kind(
        "relationship_type", "relationship_types", "relationship_type_id", "Types of relationships between two ends",
        (
            _text("end1_name", "Name of the relationship seen from its first end"),
            _text("end1_types", "Types that may stand there, joined with commas; null: any"),
            _text("end1_on_delete", "CASCADE or IGNORE"),
            _text("end2_name", "Name of the relationship seen from its second end"),
            _text("end2_types", "Types that may stand there, joined with commas; null: any"),
            _text("end2_on_delete", "CASCADE or IGNORE"),
        ),
    ),
    Kind(
        "relationship", "relationships", "relationship_id", "Relationships between assets, columns and artifacts",
        (
            _text("relationship_name", "As the catalog names it"),
            _text("relationship_type_id", "Its type"),
            _text("source_kind", "asset, column or artifact"),
            _text("source_id", "Id of the asset or artifact"),
            _text("source_column", "Name of the column, where the source is one"),
            _text("source_container_id", "Where the source lives"),
            _text("target_kind", "asset, column or artifact"),
            _text("target_id", "Id of the asset or artifact"),
            _text("target_column", "Name of the column, where the target is one"),
            _text("target_container_id", "Where the target lives"),
            _CREATED, _UPDATED,
        ),
    ),
    Kind(
        "artifact", "artifacts", "artifact_id",
        "Glossary artifacts: terms, classifications, data classes, policies, rules",
        (
            _text("artifact_type", "glossary_term, classification, data_class, policy, rule, reference_data"),
            _NAME,
            _text("global_id", "Repository and artifact id, by which relationships name it"),
            _text("version_id", "The published version"),
            _text("state", "PUBLISHED, DRAFT"),
            _text("short_description", "One sentence"),
            _text("long_description", "The whole text"),
            _text("tags", "Joined with commas"),
            _text("parent_category_id", "The category it lives in"),
            _time("effective_from", "Start of its validity"),
            _time("effective_to", "End of its validity"),
            _CREATED, _UPDATED,
            _text("updated_by", "Who changed it last"),
        ),
    ),
    Kind(
        "artifact_version", "artifact_versions", "version_id", "Versions of glossary artifacts",
        (
            _text("artifact_id", "The artifact"),
            _text("artifact_type", "As in v1_artifacts"),
            _NAME,
            _text("state", "PUBLISHED, DRAFT"),
            _text("revision", "As the catalog counts"),
            _time("effective_from", "Start of its validity"),
            _time("effective_to", "End of its validity"),
            _UPDATED,
            _text("updated_by", "Who changed it last"),
        ),
    ),
    Kind(
        "artifact_relationship", "artifact_relationships", "artifact_relationship_id",
        "Relationships between glossary artifacts",
        (
            _text("relationship_type", "As the catalog words it"),
            _text("source_id", "Artifact id"),
            _text("source_type", "Type of that artifact"),
            _text("target_id", "Artifact id"),
            _text("target_type", "Type of that artifact"),
            _text("target_name", "Name of that artifact"),
        ),
    ),
    Kind(
        "asset_list", "asset_lists", "asset_list_id", "Lists of assets, such as orders",
        (
            _NAME, _DESCRIPTION,
            _text("list_type", "As the catalog words it"),
            _text("state", "As the catalog words it"),
            _text("asset_id", "The asset it is about, where it is about one"),
            _text("owner_id", "Who owns it"),
            _CREATED, _UPDATED,
        ),
    ),
    Kind(
        "asset_list_item", "asset_list_items", "item_id", "Entries of asset lists",
        (
            _text("asset_list_id", "The list"),
            _text("asset_id", "The asset"),
            _text("asset_type", "Its type"),
            _CREATED, _UPDATED,
        ),
    ),
    Kind(
        "quality_asset", "quality_assets", "quality_asset_id",
        "Assets and columns as the data-quality service knows them",
        (
            _NAME,
            _text("asset_type", "As the data-quality service words it"),
            _text("native_id", "How the checking system names it"),
            _number("weight", "In the score of its parent"),
            _CREATED,
        ),
    ),
    Kind(
        "quality_check", "quality_checks", "check_id", "Data-quality checks",
        (
            _NAME,
            _text("check_type", "As the catalog words it"),
            _text("native_id", "How the checking system names it"),
            _text("dimension", "Completeness, validity, …"),
            _CREATED,
        ),
    ),
    Kind(
        "quality_issue", "quality_issues", "issue_id", "What data-quality checks found",
        (
            _text("check_id", "The check"),
            _text("check_name", "Its name"),
            _text("quality_asset_id", "What it was found in"),
            _text("status", "actual or archive"),
            _truth("is_ignored", "Somebody decided to ignore it"),
            _integer("occurrences", "Records with the issue"),
            _integer("tested_records", "Records looked at"),
            _CREATED, _UPDATED,
        ),
    ),
    Kind(
        "quality_score", "quality_scores", "quality_asset_id", "Latest data-quality score of an asset or column",
        (
            _NAME,
            _number("score", "0 to 1"),
            _integer("number_of_checks", "Checks behind the score"),
            _text("status", "actual or archive"),
            _time("scored_at", "When it was computed"),
        ),
    ),
    Kind(
        "job", "jobs", "job_id", "Jobs of projects and spaces",
        (
            _NAME,
            _text("asset_id", "The asset that runs"),
            _text("asset_ref_type", "Its type"),
            _text("last_run_status", "As the catalog words it"),
            _time("last_run_at", "When it last ran"),
            _CREATED,
        ),
    ),
    Kind(
        "job_run", "job_runs", "run_id", "Runs of jobs",
        (
            _text("job_id", "The job"),
            _text("state", "Queued, Running, Completed, Failed, …"),
            _truth("is_scheduled", "The schedule started it"),
            _CREATED, _UPDATED,
        ),
    ),
    Kind(
        "metadata_import", "metadata_imports", "metadata_import_id", "Metadata imports",
        (_NAME, _text("connection_id", "Where it reads"), _text("job_id", "The job that runs it"), _CREATED),
        asset="metadata_import_id",
    ),
    Kind(
        "enrichment_area", "enrichment_areas", "area_id", "Metadata enrichment areas",
        (_NAME, _text("job_id", "The job that runs it"), _CREATED),
        asset="area_id",
    ),
    Kind(
        "asset_statistic", "asset_statistics", "statistic_id", "How often an asset was used in the catalog",
        (
            _text("asset_id", "The asset"),
            _text("statistic", "EDITS, DOWNLOADS, PUBLISH_TO_CATALOG, CLONE_TO_PROJECT, PROMOTE_TO_SPACE"),
            _integer("count", "How often, since the catalog counts"),
        ),
        asset="asset_id",
    ),
)  # fmt: skip

#: Every kind by its name.
KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
