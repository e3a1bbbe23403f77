"""`/api/admin/openapi.json`: the admin API described, by OpenAPI 3.1, from what its calls are declared to be."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec
from pydantic.json_schema import models_json_schema

from service import __version__
from service.events.fields import MAX_ID_BYTES
from service.http.admin import (
    collibra,
    contract,
    letters,
    links,
    looking,
    mirror,
    pentaho,
    privacy,
    reading,
    steering,
    usage,
)
from service.http.admin.calls import Body, Call
from service.http.describing import PROBLEM, REFUSALS

PATH = "/api/admin/openapi.json"
#: Every call but this description.
CALLS: tuple[Call, ...] = (
    *letters.CALLS,
    *steering.CALLS,
    *reading.CALLS,
    *usage.CALLS,
    *looking.CALLS,
    *privacy.CALLS,
    *collibra.CALLS,
    *contract.CALLS,
    *links.CALLS,
    *pentaho.CALLS,
    *mirror.CALLS,
)
_TEMPLATE = "#/components/schemas/{name}"
#: What any call may be refused with: by the door, for its parameters, or for the store's sake.
_ALWAYS = (400, 401, 403, 429, 503)
#: What a call with a body may be refused with besides.
_WITH_BODY = (413, 415)
#: What is meant otherwise here than by the API.
_REFUSALS = {
    **REFUSALS,
    "404": "There is no such thing.",
    "409": "It does not fit how things stand by now; the message says what to do.",
    "413": "The body is too large.",
}
_ID: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES, "pattern": "^[^\\u0000]+$"}


@cache
def document() -> dict[str, Any]:
    """The whole description."""
    answers, shown = msgspec.json.schema_components([call.answer for call in CALLS], ref_template=_TEMPLATE)
    bodies = sorted({call.body for call in CALLS} | {Body}, key=lambda model: model.__name__)
    _, told = models_json_schema(
        [(model, "validation") for model in bodies], ref_template=_TEMPLATE.replace("{name}", "{model}")
    )
    paths: dict[str, dict[str, Any]] = {}
    for call, schema in zip(CALLS, answers, strict=True):
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, schema)
    paths[PATH] = {"get": _described("getAdminOpenApi", "This description", 200, {"type": "object"}, _ALWAYS)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Catalog Mirror, admin API",
            "version": __version__,
            "description": "What the commands do, for tokens with the scope `operate`; docs/operations.md has the "
            "calls beside the commands.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": PROBLEM, **shown, **told["$defs"]},
        },
    }


def _operation(call: Call, schema: dict[str, Any]) -> dict[str, Any]:
    refusals = {*_ALWAYS, *call.refusals, *(_WITH_BODY if call.method == "POST" else ())}
    if "{" in call.path:
        refusals.add(404)
    told = _described(call.name, call.summary, call.status, schema, sorted(refusals))
    if call.look:
        told["responses"][str(call.status)]["headers"] = {"Location": {"schema": {"type": "string"}}}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _ID} for name in re.findall(r"{(\w+)}", call.path)
    ]
    parameters += _parameters(call)
    if parameters:
        told["parameters"] = parameters
    if call.method == "POST":
        content = {"application/json": {"schema": {"$ref": _TEMPLATE.format(name=call.body.__name__)}}}
        told["requestBody"] = {"required": True, "content": content}
    return told


def _described(name: str, summary: str, status: int, schema: dict[str, Any], refusals: Any) -> dict[str, Any]:
    responses: dict[str, Any] = {str(status): {"description": "Done.", "content": _json(schema)}}
    if status == 202:
        responses["202"]["description"] = "Begun: `Location` names where to look how far it is."
    problem = {"$ref": _TEMPLATE.format(name="Problem")}
    for refusal in refusals:
        responses[str(refusal)] = {"description": _REFUSALS[str(refusal)], "content": _json(problem)}
    return {
        "operationId": name,
        "summary": summary,
        "description": "Takes the scope `operate`.",
        "security": [{"token": []}],
        "responses": dict(sorted(responses.items())),
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _parameters(call: Call) -> list[dict[str, Any]]:
    """Query parameters; that one may be left out is told by `required`, not by null, which a query cannot say."""
    schema = call.query.model_json_schema(ref_template=_TEMPLATE.replace("{name}", "{model}"))
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": member.pop("description", ""),
            "schema": _plain(member),
        }
        for name, member in schema.get("properties", {}).items()
    ]


def _plain(member: dict[str, Any]) -> dict[str, Any]:
    """A member's schema without null."""
    kept = {name: value for name, value in member.items() if name not in ("anyOf", "title", "default")}
    for one in member.get("anyOf", ()):
        if one.get("type") != "null":
            kept |= one
    if member.get("default") is not None:
        kept["default"] = member["default"]
    return kept
