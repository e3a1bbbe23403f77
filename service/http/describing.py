"""The words in which OpenAPI describes operations, and answers that several of them have."""

from __future__ import annotations

from typing import Any

from service.http import published
from service.http.tokens import Scope

TEXT = {"type": "string"}
MAYBE_TEXT = {"type": ["string", "null"]}
TIME = {"type": ["string", "null"], "format": "date-time"}
COUNT = {"type": "integer", "minimum": 0}

#: The form of every refusal.
PROBLEM = {
    "type": "object",
    "required": ["trace", "errors"],
    "properties": {
        "trace": TEXT,
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {"code": TEXT, "message": TEXT},
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


def ref(name: str) -> dict[str, Any]:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(required: list[str], **properties: Any) -> dict[str, Any]:
    """An object with these properties."""
    return {"type": "object", "required": required, "properties": properties}


def list_of(items: dict[str, Any]) -> dict[str, Any]:
    """A list of such items."""
    return {"type": "array", "items": items}


def in_json(schema: dict[str, Any]) -> dict[str, Any]:
    """A body in JSON."""
    return {"application/json": {"schema": schema}}


def operation(operation_id: str, summary: str, scope: Scope | None, **members: Any) -> dict[str, Any]:
    """An operation, and the scope that it takes."""
    told: dict[str, Any] = {"operationId": operation_id, "summary": summary, **members}
    if scope is not None:
        told |= {"security": [{"token": []}], "description": f"Takes the scope `{scope.value}`."}
    return told


def answers(status: str, schema: dict[str, Any], *refusals: str) -> dict[str, Any]:
    """What is answered, and the refusals that there may be."""
    told = {status: {"description": "Done.", "content": in_json(schema)}}
    for refusal in (*refusals, "401", "403", "429", "503") if refusals else ():
        told[refusal] = {"description": REFUSALS[refusal], "content": in_json(ref("Problem"))}
    return dict(sorted(told.items()))


def path(name: str) -> dict[str, Any]:
    """An id in the path."""
    return {"name": name, "in": "path", "required": True, "schema": published.ID}


def query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    """A parameter of the query."""
    return {"name": name, "in": "query", "schema": schema, "description": description}


def number(name: str, default: int, least: int, most: int, description: str) -> dict[str, Any]:
    """A whole number within bounds."""
    return query(name, {"type": "integer", "minimum": least, "maximum": most, "default": default}, description)


def words(*words: str, default: str | None = None) -> dict[str, Any]:
    """One of these words."""
    return {"type": "string", "enum": [f"{word}" for word in words]} | ({"default": default} if default else {})
