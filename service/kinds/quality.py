"""Data quality: what is checked, by what, what was found, and how good it is."""

from __future__ import annotations

from typing import Any

from service.kinds import common
from service.kinds.model import CATALOG, PARENT, PROJECT, Kind, Listing, integer, number, text, time, truth
from service.text import lookup

_WITHIN = (CATALOG, PROJECT)


def _listing(what: str, **query: Any) -> Listing:
    return Listing(
        f"quality_{what}", f"/data_quality/v4/{what}", what, "link", 200, "total_count", "children", query=query
    )


QUALITY_ASSET = Kind(
    "quality_asset", "quality_assets", "quality_asset_id",
    "Assets and columns as the data-quality service knows them",
    (
        common.name("name"),
        text("asset_type", "type", "As the data-quality service words it"),
        text("native_id", "native_id|nativeId", "How the checking system names it"),
        number("weight", "weight", "In the score of its parent"),
        common.created("created_at"),
    ),
    ids="id", indexed=("native_id",), within=_WITHIN, listed=(_listing("assets", include_children=True),),
)  # fmt: skip

QUALITY_CHECK = Kind(
    "quality_check", "quality_checks", "check_id", "Data-quality checks",
    (
        common.name("name"),
        text("check_type", "type", "As the catalog words it"),
        text("native_id", "native_id|nativeId", "How the checking system names it"),
        text("dimension", "dimension.name", "Completeness, validity, …"),
        common.created("created_at"),
    ),
    ids="id", within=_WITHIN, listed=(_listing("checks"),),
)  # fmt: skip

QUALITY_ISSUE = Kind(
    "quality_issue", "quality_issues", "issue_id", "What data-quality checks found",
    (
        text("check_id", "check.id", "The check"),
        text("check_name", "check.name", "Its name"),
        text("quality_asset_id", "reported_for.id", "What it was found in"),
        text("status", "status", "actual or archive"),
        truth("is_ignored", "ignored", "Somebody decided to ignore it"),
        integer("occurrences", "number_of_occurrences", "Records with the issue"),
        integer("tested_records", "number_of_tested_records", "Records looked at"),
        common.created("created_at"), common.updated("updated_at"),
    ),
    ids="id", indexed=("quality_asset_id",), within=_WITHIN, is_followed=True,
    # The last updated first.
    listed=(_listing("issues", include_children=True, sort="updated_at", direction="desc"),),
    topics=("v4.data_quality_issues.*.#",),
)  # fmt: skip


def _actual(item: dict[str, Any]) -> dict[str, Any]:
    scores = lookup.objects(item.get("scores"))
    return {"@score": next((score for score in scores if score.get("status") == "actual"), next(iter(scores), {}))}


QUALITY_SCORE = Kind(
    "quality_score", "quality_scores", "quality_asset_id", "Latest data-quality score of an asset or column",
    (
        common.name("asset.name"),
        number("score", "@score.score", "0 to 1"),
        integer("number_of_checks", "@score.number_of_checks", "Checks behind the score"),
        text("status", "@score.status", "actual or archive"),
        time("scored_at", "@score.timestamp", "When it was computed"),
    ),
    ids="asset.id", derived=_actual, parent="quality_asset", within=_WITHIN,
    # Its own `asset` is not always there.
    listed=(Listing("scores", "/data_quality/v4/scores", None, query={"asset_id": "{parent}"},
                    adds=lambda quality_asset_id: {"asset": {"id": quality_asset_id}}),),
)  # fmt: skip

# Version 3 of the same service: rules that people write in projects. Rules and definitions tell no time.

QUALITY_DEFINITION = Kind(
    "quality_definition", "quality_definitions", "definition_id", "Expressions that data-quality rules are made of",
    (
        common.name("name"), common.description("description"),
        text("expression", "expression", "What has to hold, in terms of variables"),
        text("dimension_id", "dimension.id", "The dimension, as an id"),
    ),
    ids="id", within=(PROJECT,),
    listed=(Listing("quality_definitions", "/data_quality/v3/projects/{container_id}/definitions", "definitions",
                    "link", 200, "total_count"),),
)  # fmt: skip


def _bound(item: dict[str, Any]) -> dict[str, Any]:
    """The first column that a rule is bound to, and its definition: most rules have one of each."""
    definitions = lookup.objects(lookup.at(item, ("input", "definitions")))
    first = definitions[0] if definitions else {}
    bindings = lookup.objects(first.get("bindings"))
    target = lookup.mapping(bindings[0].get("target")) if bindings else {}
    return {"@definition": lookup.at(first, ("definition", "id")), "@target": target}


QUALITY_RULE = Kind(
    "quality_rule", "quality_rules", "rule_id", "Data-quality rules of projects: definitions bound to columns",
    (
        common.name("name"), common.description("description"),
        text("expression", "bound_expression|input.bound_expression|expression", "What has to hold, of which columns"),
        truth("is_valid", "is_valid", "The service can run it"),
        text("definition_id", "@definition", "The first definition that it uses"),
        text("asset_id", "@target.data_asset.id", "The first asset that it is bound to"),
        text("column_name", "@target.column_name", "The column of that asset"),
        text("dimension_id", "dimension.id", "The dimension, as an id"),
        text("job_id", "job.id", "The job that runs it"),
        text("output_table_id", "output_table.id", "The asset with the records that it keeps"),
    ),
    ids="id", derived=_bound, indexed=("asset_id",), within=(PROJECT,),
    listed=(Listing("quality_rules", "/data_quality/v3/projects/{container_id}/rules", "rules", "link", 200,
                    "total_count"),),
)  # fmt: skip

QUALITY_EXECUTION = Kind(
    "quality_execution", "quality_executions", "execution_id", "Runs of data-quality rules, with what they found",
    (
        text("rule_id", PARENT, "The rule"),
        text("state", "status.state", "As the catalog words it: analyzed, failed"),
        time("started_at", "started_at", "When it began"),
        time("ended_at", "ended_at", "When it ended"),
        integer("tested_records", "tested_record_count", "Records that were tested"),
        integer("passing_records", "passing_record_count", "Records that met the rule"),
        integer("failing_records", "failing_record_count", "Records that did not"),
        text("job_id", "job.id", "The job"),
        text("job_run_id", "job_run.id", "Its run"),
        text("run_by", "run_by", "Who ran it"),
    ),
    ids="id", parent="quality_rule", within=(PROJECT,),
    # Newest first.
    listed=(Listing("quality_executions", "/data_quality/v3/projects/{container_id}/rules/{parent}/executions",
                    "executions", "link", 200, "total_count"),),
)  # fmt: skip
