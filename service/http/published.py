"""What a lineage event that is published to us has to look like: the catalog's own form, as JSON Schema.

Looser than the catalog's example where the catalog's own events are (docs/contract.md, "Lineage events").
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from service.errors import FieldInvalid
from service.events.fields import MAX_ID_BYTES

_MAYBE_TEXT = {"type": ["string", "null"]}
#: Text that a key may be; bytes are counted when it is read, and a character has four at most.
ID = {"type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES // 4, "pattern": "^[^\\u0000]+$"}
#: Milliseconds since 1970 up to the year 2100.
_EPOCH = {"type": "integer", "minimum": 100_000_000_000, "maximum": 4_102_444_800_000}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


_PROPERTY = {"type": ["object", "null"], "properties": {"type": _MAYBE_TEXT}}
ASSET = _object(
    ["id"],
    id=ID,
    asset_type=_MAYBE_TEXT,
    relation={"type": ["object", "null"], "properties": {"name": _MAYBE_TEXT}},
    properties={"type": ["object", "null"], "additionalProperties": _PROPERTY},
)
_ASSETS = {"type": ["array", "null"], "items": ASSET}
EVENT = _object(
    ["event_details"],
    message_version={"type": ["string", "integer", "null"]},
    user_id=_MAYBE_TEXT,
    account_id=_MAYBE_TEXT,
    event_details=_object(
        ["event_id"],
        event_id=ID,
        event_type=_MAYBE_TEXT,
        event_category={"anyOf": [{"type": "array", "items": {"type": "string"}}, _MAYBE_TEXT]},
        event_time={"anyOf": [{"type": "string", "format": "date-time"}, _EPOCH, {"type": "null"}]},
        event_source_service=_MAYBE_TEXT,
    ),
    uses_assets=_ASSETS,
    generates_assets=_ASSETS,
)


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(EVENT, validate_formats=True, mask="it")


def check(value: Any) -> dict[str, Any]:
    """The event, if it has the form.

    Raises:
        FieldInvalid: with the path of the first field that does not fit; never with its value.
    """
    problem = next(_validator().iter_errors(value), None)
    if problem is not None:
        field = ".".join(map(str, problem.instance_path)) or "(the event)"
        raise FieldInvalid(field=field, problem=problem.message)
    event: dict[str, Any] = value
    return event
