"""What an OpenLineage event has to look like: JSON Schema, as the specification publishes it, in our own words.

A test holds it against the event classes that the `openlineage-python` package generates from the published schema.
Facets are open: of those that nobody here reads only what every facet has is checked.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from service.errors import FieldInvalid
from service.text.documents import column_text

#: Problems told of one event; the rest follows from them as a rule.
_MAX_PROBLEMS = 3


class OpenLineageInvalid(FieldInvalid):
    """The field {field} is no OpenLineage: {problem}."""

    error_class = "openlineage"
    remedy = "Send run, job or dataset events of https://openlineage.io/spec; the client libraries make them."


@cache
def schema() -> dict[str, Any]:
    """The schema of one event."""
    found: dict[str, Any] = json.loads((files(__package__) / "schema.json").read_text(encoding="utf-8"))
    return found


@cache
def _validator(kind: str) -> Draft202012Validator:
    """The validator of one kind; it never shows values, in which there may be secrets."""
    return Draft202012Validator(
        {"$ref": f"#/$defs/{kind}", "$defs": schema()["$defs"]}, validate_formats=True, mask="it"
    )


def kind_of(event: dict[str, Any]) -> str:
    """Which of the three kinds an event means to be."""
    return "RunEvent" if "run" in event else "JobEvent" if "job" in event else "DatasetEvent"


def is_valid(event: dict[str, Any]) -> bool:
    """Whether an event is as the specification has it."""
    return fits(kind_of(event), event)


def fits(definition: str, value: Any) -> bool:
    """Whether a part of an event is as its definition here has it."""
    try:
        return _validator(definition).is_valid(value)
    except UnicodeEncodeError:
        return _validator(definition).is_valid(_whole(value))


def check(event: Any) -> dict[str, Any]:
    """The event, if it is one.

    Raises:
        OpenLineageInvalid: with the path of the first fields that do not fit; never with their values.
    """
    if not isinstance(event, dict):
        raise OpenLineageInvalid(field="", problem="an event is an object")
    try:
        problems = _problems(event)
    except UnicodeEncodeError:
        problems = _problems(_whole(event))
    if problems:
        first, *others = problems
        told = "; ".join([first.message, *(f"{_path(other)}: {other.message}" for other in others)])
        raise OpenLineageInvalid(field=_path(first), problem=told)
    return event


def _problems(event: dict[str, Any]) -> list[ValidationError]:
    return list(islice(_validator(kind_of(event)).iter_errors(event), _MAX_PROBLEMS))


def _whole(value: Any) -> Any:
    """A copy in which half a surrogate pair, which the validator cannot read, is U+FFFD."""
    if isinstance(value, str):
        return column_text(value)
    if isinstance(value, dict):
        return {column_text(key): _whole(member) for key, member in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def _path(error: ValidationError) -> str:
    return ".".join(map(str, error.instance_path)) or "(the event)"
