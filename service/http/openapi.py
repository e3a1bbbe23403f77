"""`/openapi.json`: the API described, by OpenAPI 3.1. Tests hold it against routes and answers."""

from __future__ import annotations

from functools import cache
from typing import Any

from service import __version__
from service.http import published
from service.http.lineage import MAX_COUNT, MAX_LIMIT, MAX_OFFSET, AssetType, Classification
from service.http.tokens import Scope
from service.mirror.lineage.questions import LineageType
from service.mirror.lineage.summary import Part
from service.openlineage import schema as openlineage

_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_TIME = {"type": ["string", "null"], "format": "date-time"}
_COUNT = {"type": "integer", "minimum": 0}

#: The form of every refusal.
PROBLEM = {
    "type": "object",
    "required": ["trace", "errors"],
    "properties": {
        "trace": _TEXT,
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {"code": _TEXT, "message": _TEXT},
            },
        },
    },
}
#: What a refusal means, by its status.
REFUSALS = {
    "400": "It cannot be used as it is.",
    "401": "No token that is known.",
    "403": "Not allowed.",
    "404": "Not in the mirror.",
    "409": "It says that it happened more than a day ahead of our clock, or longer ago than lineage is kept.",
    "413": "Too large, too many events, or too many assets of one event.",
    "415": "Not JSON.",
    "422": "Kept as a dead letter.",
    "429": "Too many tokens that are not known came from this address: try again after `Retry-After` seconds.",
    "503": "The store or the issuer of tokens is away, or we are behind: try again after `Retry-After` seconds.",
}


@cache
def document() -> dict[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Catalog Mirror",
            "version": __version__,
            "description": "The mirror of a data catalog: its lineage, in the catalog's own shapes, and a way in for "
            "lineage of others. docs/lineage.md tells what each question means.",
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
            "/openapi.json": {"get": _get_openapi()},
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Problem": PROBLEM, "Lineage": _lineage(), "LineageResource": _resource(), "Asset": _asset(),
                "Timeline": _timeline(), "Summary": _summary(), "Side": _side(), "LineageEvent": published.EVENT,
                "Accepted": _accepted(), "Received": _received(), "Column": _column(), "Impact": _impact(),
                "ColumnLineageFound": _columns(),
                **_openlineage_schemas(),
            },
        },
    }  # fmt: skip


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _operation(operation_id: str, summary: str, scope: Scope | None, **members: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"operationId": operation_id, "summary": summary, **members}
    if scope is not None:
        told |= {"security": [{"token": []}], "description": f"Takes the scope `{scope.value}`."}
    return told


def _answers(status: str, schema: dict[str, Any], *refusals: str) -> dict[str, Any]:
    told = {status: {"description": "Done.", "content": _json(schema)}}
    for refusal in (*refusals, "401", "403", "429", "503") if refusals else ():
        told[refusal] = {"description": REFUSALS[refusal], "content": _json(_ref("Problem"))}
    return dict(sorted(told.items()))


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": published.ID}


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _number(name: str, default: int, least: int, most: int, description: str) -> dict[str, Any]:
    return _query(name, {"type": "integer", "minimum": least, "maximum": most, "default": default}, description)


def _words(*words: str, default: str | None = None) -> dict[str, Any]:
    return {"type": "string", "enum": [f"{word}" for word in words]} | ({"default": default} if default else {})


def _place() -> list[dict[str, Any]]:
    told = "Where the asset lives, or the seed asset, if there is one."
    return [
        _query("asset_type", _words(*AssetType), "What it is."),
        *(_query(name, published.ID, told) for name in ("catalog_id", "project_id", "space_id", "wml_instance_id")),
    ]


def _get_lineage() -> dict[str, Any]:
    parameters = [
        _path("asset_id"),
        _query("lineage_type", _words(*LineageType, "default", default="partial"), "Which events."),
        _number("limit", 50, 1, MAX_LIMIT, "Events at most."),
        _number("offset", 0, 0, MAX_OFFSET, "Events to leave out at the beginning."),
        _query("bookmark", {"type": "string"}, "From the link `next` of a page: what follows it, whatever came since."),
        _query(
            "failed",
            {"type": "boolean", "default": False},
            "Also runs that failed, as if they had made it.",
        ),
        _query("classification", _words(*Classification), "Classify the events."),
        _query("after_time", {"type": "string", "format": "date-time"}, "Only events after this moment."),
        _number("hop_count", 4, 0, MAX_COUNT, "forward_hop: other assets at most."),
        _number("event_count", 10, 0, MAX_COUNT, "forward_hop: events of each other asset at most."),
        _query("column", _TEXT, "A column of the asset: only what tells of its lineage, which is `column_lineage`."),
        _query("seed_asset_id", published.ID, "An asset whose lineage must have this one in it."),
        *_place(),
    ]
    answers = _answers("200", _ref("Lineage"), "400", "404")
    return _operation("getAssetLineage", "Lineage of an asset", Scope.READ, parameters=parameters, responses=answers)


def _get_summary() -> dict[str, Any]:
    parameters = [_path("asset_id"), *_place()]
    answers = _answers("200", _ref("Summary"), "400", "404")
    return _operation("getAssetLineageSummary", "Its figures", Scope.READ, parameters=parameters, responses=answers)


def _get_impact() -> dict[str, Any]:
    column = _query("column", _TEXT, "The column.") | {"required": True}
    answers = _answers("200", _ref("Impact"), "400", "404")
    return _operation(
        "getColumnImpact", "What breaks if a column goes", Scope.READ,
        parameters=[_path("asset_id"), column, *_place()], responses=answers,
    )  # fmt: skip


def _get_event() -> dict[str, Any]:
    answers = _answers("200", _ref("LineageResource"), "400", "404")
    return _operation(
        "getLineageEvent", "One lineage event", Scope.READ, parameters=[_path("event_id")], responses=answers
    )


def _get_told() -> dict[str, Any]:
    one = {"oneOf": [_ref("RunEvent"), _ref("JobEvent"), _ref("DatasetEvent")]}
    answers = _answers("200", one, "400", "404")
    summary = "What OpenLineage events told of it, added up"
    parameters = [_path("event_id")]
    return _operation("getLineageEventAsOpenLineage", summary, Scope.OPERATE, parameters=parameters, responses=answers)


def _post_event() -> dict[str, Any]:
    body = {"required": True, "content": _json(_ref("LineageEvent"))}
    answers = _answers("202", _ref("Accepted"), "400", "409", "413", "422")
    return _operation("postLineageEvent", "Publish one", Scope.INGEST, requestBody=body, responses=answers)


def _post_openlineage(operation_id: str) -> dict[str, Any]:
    one = {"oneOf": [_ref("RunEvent"), _ref("JobEvent"), _ref("DatasetEvent")]}
    body = {"required": True, "content": _json({"anyOf": [one, _list(one)]})}
    answers = _answers("201", _ref("Received"), "400", "409", "413", "422")
    summary = "OpenLineage events: one, or an array that is taken as a whole"
    return _operation(operation_id, summary, Scope.INGEST, requestBody=body, responses=answers)


def _get_openapi() -> dict[str, Any]:
    return _operation("getOpenApi", "This description", None, responses=_answers("200", {"type": "object"}))


def _lineage() -> dict[str, Any]:
    link = _object(["href"], href={"type": "string", "format": "uri"})
    return _object(
        ["resources", "limit", "offset", "first"],
        resources=_list(_ref("LineageResource")),
        limit=_COUNT,
        offset=_COUNT,
        first=link,
        next=link,
        timelines=_list(_ref("Timeline")),
        column_lineage=_ref("ColumnLineageFound"),
        truncated={"type": "boolean", "description": "The graph is wider than a question may read."},
    )


def _column() -> dict[str, Any]:
    told = _object(["asset_id", "asset_name", "column"], asset_id=_TEXT, asset_name=_MAYBE_TEXT, column=_MAYBE_TEXT)
    return told | {"description": "A column of an asset; null: the asset as a whole."}


def _columns(**more: Any) -> dict[str, Any]:
    link = _object(
        ["from", "to", "kind", "transformation", "masking", "jobs", "events", "last_event_time"],
        **{"from": _ref("Column"), "to": _ref("Column")}, kind=_words("direct", "indirect"),
        transformation=_MAYBE_TEXT, masking={"type": ["boolean", "null"]}, jobs=_list(_TEXT), events=_COUNT,
        last_event_time=_TIME,
    )  # fmt: skip
    away = {"allOf": [_ref("Column"), _object(["distance"], distance=_COUNT)]}
    cut = {"type": "boolean", "description": "The graph is wider than a question may read."}
    return _object(["columns", "links", "cut", *more], columns=_list(away), links=_list(link), cut=cut, **more)


def _impact() -> dict[str, Any]:
    asset = _object(["asset_id", "asset_name"], asset_id=_TEXT, asset_name=_MAYBE_TEXT)
    unsure = _object(["asset_id", "job"], asset_id=_TEXT, job=_TEXT)
    return _columns(assets=_list(asset), jobs=_list(_TEXT), jobs_without_columns=_list(unsure))


def _resource() -> dict[str, Any]:
    told = _object(
        ["event_time", "event_category", "event_source_service"],
        event_time=_TIME,
        event_category=_list(_TEXT),
        event_source_service=_MAYBE_TEXT,
    )
    metadata = _object(
        ["id", "source_event_id", "created_at", "created_by"],
        id=_TEXT, source_event_id=_TEXT, created_at=_TIME, created_by=_MAYBE_TEXT,
    )  # fmt: skip
    assets = _list(_ref("Asset"))
    entity = _object(
        ["type", "generates_assets", "uses_assets", "properties"],
        type=_MAYBE_TEXT, generates_assets=assets, uses_assets=assets, properties=told,
    )  # fmt: skip
    return _object(["metadata", "entity"], metadata=metadata, entity=entity)


def _asset() -> dict[str, Any]:
    relation = {"type": ["object", "null"], "properties": {"name": _MAYBE_TEXT}}
    return _object([], id=_TEXT, type=_MAYBE_TEXT, relation=relation, properties={"type": ["object", "null"]})


def _timeline() -> dict[str, Any]:
    event = _object(["id", "type", "event_time"], id=_TEXT, type=_MAYBE_TEXT, event_time=_TIME)
    return _object(["classification", "events"], classification=_words(*Part), events=_list(event))


def _summary() -> dict[str, Any]:
    entity = _object(
        ["upstream", "downstream", "events", "event_types", "first_event_time", "last_event_time"],
        upstream=_ref("Side"),
        downstream=_ref("Side"),
        events=_object([part.value for part in Part], **{part.value: _COUNT for part in Part}),
        event_types={"type": "object", "additionalProperties": _COUNT},
        first_event_time=_TIME,
        last_event_time=_TIME,
    )
    return _object(
        ["metadata", "entity"], metadata=_object(["asset_id"], asset_id=_TEXT, name=_MAYBE_TEXT), entity=entity
    )


def _side() -> dict[str, Any]:
    truncated = {"type": "boolean"}
    return _object(
        ["assets", "events", "depth", "truncated"], assets=_COUNT, events=_COUNT, depth=_COUNT, truncated=truncated
    )


def _accepted() -> dict[str, Any]:
    return _object(["metadata"], metadata=_object(["id", "source_event_id"], id=_TEXT, source_event_id=_TEXT))


def _received() -> dict[str, Any]:
    summary = _object(["received", "successful", "failed"], received=_COUNT, successful=_COUNT, failed=_COUNT)
    failure = _object(["index", "reason", "retriable"], index=_COUNT, reason=_TEXT, retriable={"type": "boolean"})
    return _object(
        ["status", "summary", "failed_events"],
        status=_words("success", "partial_success"),
        summary=summary,
        failed_events=_list(failure),
        warnings=_list(_object(["index", "told"], index=_COUNT, told=_list(_TEXT))),
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
