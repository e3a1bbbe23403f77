"""`/openapi.json`: the API described, by OpenAPI 3.1. Tests hold it against routes and answers."""

from __future__ import annotations

from functools import cache
from typing import Any

from service import __version__
from service.http import published, reading_described
from service.http.describing import (
    COUNT,
    MAYBE_TEXT,
    PROBLEM,
    TEXT,
    TIME,
    answers,
    in_json,
    list_of,
    number,
    object_of,
    operation,
    path,
    query,
    ref,
    words,
)
from service.http.lineage import MAX_COUNT, MAX_LIMIT, MAX_OFFSET, AssetType, Classification
from service.http.tokens import Scope
from service.mirror.lineage.questions import LineageType
from service.mirror.lineage.summary import Part
from service.openlineage import schema as openlineage


@cache
def document() -> dict[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Catalog Mirror",
            "version": __version__,
            "description": "The mirror of a data catalog: what it holds, how it is, and its lineage in the catalog's "
            "own shapes; and a way in for lineage of others. docs/api.md and docs/lineage.md tell what questions mean.",
        },
        "paths": {
            "/v2/asset_lineages/{asset_id}": {"get": _get_lineage()},
            "/v2/asset_lineages/{asset_id}/summary": {"get": _get_summary()},
            "/v2/asset_lineages/{asset_id}/impact": {"get": _get_impact()},
            "/v2/lineage_events/{event_id}": {"get": _get_event()},
            "/v2/lineage_events/{event_id}/openlineage": {"get": _get_told()},
            "/v2/lineage_events": {"post": _post_event()},
            "/api/v1/lineage": {"post": _post_openlineage("postOpenLineage")},
            "/api/v1/lineage/batch": {"post": _post_openlineage("postOpenLineageBatch")},
            **reading_described.paths(),
            "/openapi.json": {"get": _get_openapi()},
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Problem": PROBLEM, "Lineage": _lineage(), "LineageResource": _resource(), "Asset": _asset(),
                "Timeline": _timeline(), "Summary": _summary(), "Side": _side(), "LineageEvent": published.EVENT,
                "Accepted": _accepted(), "Received": _received(), "Column": _column(), "Impact": _impact(),
                "ColumnLineageFound": _columns(),
                **_openlineage_schemas(), **reading_described.schemas(),
            },
        },
    }  # fmt: skip


def _place() -> list[dict[str, Any]]:
    told = "Where the asset lives, or the seed asset, if there is one."
    return [
        query("asset_type", words(*AssetType), "What it is."),
        *(query(name, published.ID, told) for name in ("catalog_id", "project_id", "space_id", "wml_instance_id")),
    ]


def _get_lineage() -> dict[str, Any]:
    parameters = [
        path("asset_id"),
        query("lineage_type", words(*LineageType, "default", default="partial"), "Which events."),
        number("limit", 50, 1, MAX_LIMIT, "Events at most."),
        number("offset", 0, 0, MAX_OFFSET, "Events to leave out at the beginning."),
        query("bookmark", {"type": "string"}, "From the link `next` of a page: what follows it, whatever came since."),
        query(
            "failed",
            {"type": "boolean", "default": False},
            "Also runs that failed, as if they had made it.",
        ),
        query("classification", words(*Classification), "Classify the events."),
        query("after_time", {"type": "string", "format": "date-time"}, "Only events after this moment."),
        number("hop_count", 4, 0, MAX_COUNT, "forward_hop: other assets at most."),
        number("event_count", 10, 0, MAX_COUNT, "forward_hop: events of each other asset at most."),
        query("column", TEXT, "A column of the asset: only what tells of its lineage, which is `column_lineage`."),
        query("seed_asset_id", published.ID, "An asset whose lineage must have this one in it."),
        *_place(),
    ]
    told = answers("200", ref("Lineage"), "400", "404")
    return operation("getAssetLineage", "Lineage of an asset", Scope.READ, parameters=parameters, responses=told)


def _get_summary() -> dict[str, Any]:
    parameters = [path("asset_id"), *_place()]
    told = answers("200", ref("Summary"), "400", "404")
    return operation("getAssetLineageSummary", "Its figures", Scope.READ, parameters=parameters, responses=told)


def _get_impact() -> dict[str, Any]:
    column = query("column", TEXT, "The column.") | {"required": True}
    told = answers("200", ref("Impact"), "400", "404")
    return operation(
        "getColumnImpact", "What breaks if a column goes", Scope.READ,
        parameters=[path("asset_id"), column, *_place()], responses=told,
    )  # fmt: skip


def _get_event() -> dict[str, Any]:
    told = answers("200", ref("LineageResource"), "400", "404")
    return operation("getLineageEvent", "One lineage event", Scope.READ, parameters=[path("event_id")], responses=told)


def _get_told() -> dict[str, Any]:
    one = {"oneOf": [ref("RunEvent"), ref("JobEvent"), ref("DatasetEvent")]}
    told = answers("200", one, "400", "404")
    summary = "What OpenLineage events told of it, added up"
    parameters = [path("event_id")]
    return operation("getLineageEventAsOpenLineage", summary, Scope.OPERATE, parameters=parameters, responses=told)


def _post_event() -> dict[str, Any]:
    body = {"required": True, "content": in_json(ref("LineageEvent"))}
    told = answers("202", ref("Accepted"), "400", "409", "413", "422")
    return operation("postLineageEvent", "Publish one", Scope.INGEST, requestBody=body, responses=told)


def _post_openlineage(operation_id: str) -> dict[str, Any]:
    one = {"oneOf": [ref("RunEvent"), ref("JobEvent"), ref("DatasetEvent")]}
    body = {"required": True, "content": in_json({"anyOf": [one, list_of(one)]})}
    told = answers("201", ref("Received"), "400", "409", "413", "422")
    summary = "OpenLineage events: one, or an array that is taken as a whole"
    return operation(operation_id, summary, Scope.INGEST, requestBody=body, responses=told)


def _get_openapi() -> dict[str, Any]:
    return operation("getOpenApi", "This description", None, responses=answers("200", {"type": "object"}))


def _lineage() -> dict[str, Any]:
    link = object_of(["href"], href={"type": "string", "format": "uri"})
    return object_of(
        ["resources", "limit", "offset", "first"],
        resources=list_of(ref("LineageResource")),
        limit=COUNT,
        offset=COUNT,
        first=link,
        next=link,
        timelines=list_of(ref("Timeline")),
        column_lineage=ref("ColumnLineageFound"),
        truncated={"type": "boolean", "description": "The graph is wider than a question may read."},
    )


def _column() -> dict[str, Any]:
    told = object_of(["asset_id", "asset_name", "column"], asset_id=TEXT, asset_name=MAYBE_TEXT, column=MAYBE_TEXT)
    return told | {"description": "A column of an asset; null: the asset as a whole."}


def _columns(**more: Any) -> dict[str, Any]:
    link = object_of(
        ["from", "to", "kind", "transformation", "masking", "jobs", "events", "last_event_time"],
        **{"from": ref("Column"), "to": ref("Column")}, kind=words("direct", "indirect"),
        transformation=MAYBE_TEXT, masking={"type": ["boolean", "null"]}, jobs=list_of(TEXT), events=COUNT,
        last_event_time=TIME,
    )  # fmt: skip
    away = {"allOf": [ref("Column"), object_of(["distance"], distance=COUNT)]}
    cut = {"type": "boolean", "description": "The graph is wider than a question may read."}
    return object_of(["columns", "links", "cut", *more], columns=list_of(away), links=list_of(link), cut=cut, **more)


def _impact() -> dict[str, Any]:
    asset = object_of(["asset_id", "asset_name"], asset_id=TEXT, asset_name=MAYBE_TEXT)
    unsure = object_of(["asset_id", "job"], asset_id=TEXT, job=TEXT)
    return _columns(assets=list_of(asset), jobs=list_of(TEXT), jobs_without_columns=list_of(unsure))


def _resource() -> dict[str, Any]:
    told = object_of(
        ["event_time", "event_category", "event_source_service"],
        event_time=TIME,
        event_category=list_of(TEXT),
        event_source_service=MAYBE_TEXT,
    )
    metadata = object_of(
        ["id", "source_event_id", "created_at", "created_by"],
        id=TEXT, source_event_id=TEXT, created_at=TIME, created_by=MAYBE_TEXT,
    )  # fmt: skip
    assets = list_of(ref("Asset"))
    entity = object_of(
        ["type", "generates_assets", "uses_assets", "properties"],
        type=MAYBE_TEXT, generates_assets=assets, uses_assets=assets, properties=told,
    )  # fmt: skip
    return object_of(["metadata", "entity"], metadata=metadata, entity=entity)


def _asset() -> dict[str, Any]:
    relation = {"type": ["object", "null"], "properties": {"name": MAYBE_TEXT}}
    return object_of([], id=TEXT, type=MAYBE_TEXT, relation=relation, properties={"type": ["object", "null"]})


def _timeline() -> dict[str, Any]:
    event = object_of(["id", "type", "event_time"], id=TEXT, type=MAYBE_TEXT, event_time=TIME)
    return object_of(["classification", "events"], classification=words(*Part), events=list_of(event))


def _summary() -> dict[str, Any]:
    entity = object_of(
        ["upstream", "downstream", "events", "event_types", "first_event_time", "last_event_time"],
        upstream=ref("Side"),
        downstream=ref("Side"),
        events=object_of([part.value for part in Part], **{part.value: COUNT for part in Part}),
        event_types={"type": "object", "additionalProperties": COUNT},
        first_event_time=TIME,
        last_event_time=TIME,
    )
    return object_of(
        ["metadata", "entity"], metadata=object_of(["asset_id"], asset_id=TEXT, name=MAYBE_TEXT), entity=entity
    )


def _side() -> dict[str, Any]:
    truncated = {"type": "boolean"}
    return object_of(
        ["assets", "events", "depth", "truncated"], assets=COUNT, events=COUNT, depth=COUNT, truncated=truncated
    )


def _accepted() -> dict[str, Any]:
    return object_of(["metadata"], metadata=object_of(["id", "source_event_id"], id=TEXT, source_event_id=TEXT))


def _received() -> dict[str, Any]:
    summary = object_of(["received", "successful", "failed"], received=COUNT, successful=COUNT, failed=COUNT)
    failure = object_of(["index", "reason", "retriable"], index=COUNT, reason=TEXT, retriable={"type": "boolean"})
    return object_of(
        ["status", "summary", "failed_events"],
        status=words("success", "partial_success"),
        summary=summary,
        failed_events=list_of(failure),
        warnings=list_of(object_of(["index", "told"], index=COUNT, told=list_of(TEXT))),
    )


def _openlineage_schemas() -> dict[str, Any]:
    """The definitions of OpenLineage, at home among ours."""
    definitions: dict[str, Any] = _moved(openlineage.schema()["$defs"])
    return definitions


def _moved(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: member.replace("#/$defs/", "#/components/schemas/") if key == "$ref" else _moved(member)
            for key, member in value.items()
        }
    return [_moved(item) for item in value] if isinstance(value, list) else value
