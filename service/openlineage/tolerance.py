"""What producers really send, made into what the specification asks for, with a word for each thing that was changed.

A client that is answered 400 loses its event, so that answer is kept for what nobody could use: an event that names no
job or data set, or has no time with a zone. A null stands for "not there"; a facet that cannot be used is left out,
and the rest is kept. What is made here is valid by the specification and is what goes on to others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from service.errors import NotJson
from service.openlineage import assertions, columns, links, schema
from service.openlineage.marks import MARK
from service.openlineage.words import made_id, schema_url
from service.text import documents

#: Who is said to have sent an event that does not say so.
UNNAMED_PRODUCER = "urn:openlineage:unnamed-producer"
#: A moment as producers write it: letters in lower case, a zone without its colon, a second that is the 61st.
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(\.\d+)?(?:([Zz])|([+-]\d\d):?(\d\d))")
#: Where facets stand in a data set.
_FACET_MAPS = ("facets", "inputFacets", "outputFacets")


#: What openlineage-python writes for a value that it cannot (its `serde`, 1.54), and how a body shows that it may.
_PLACEHOLDER = re.compile(r"<<non-serializable: [^<>]*>>")
_PLACEHOLDERS = b"<<non-serializable: "
_NOT_WRITTEN = "values that the producer could not write (NaN, an infinity, or a placeholder) were left out: "


class _NotWritten(Enum):
    """Stands for what JSON cannot say."""

    NUMBER = "NaN or an infinity"


def read(body: bytes, max_depth: int) -> tuple[Any, list[str]]:
    """What was posted, without values that its producer could not write, and a word for these.

    Raises:
        NotUtf8, NotJson, NestingTooDeep: nobody can read it.
    """
    try:
        value = documents.read(body, max_depth)
    except NotJson:
        value = documents.read_with_constants(body, max_depth, lambda _: _NotWritten.NUMBER)
    else:
        if _PLACEHOLDERS not in body:
            return value, []
    kept, left_out = _written(value)
    return kept, [f"{_NOT_WRITTEN}{left_out}"] if left_out else []


def _written(value: Any) -> tuple[Any, int]:
    """A copy without members that are not written, null for such items of lists, and how many there were."""
    if value is _NotWritten.NUMBER or (isinstance(value, str) and _PLACEHOLDER.fullmatch(value)):
        return None, 1
    if isinstance(value, dict):
        members = {key: _written(member) for key, member in value.items()}
        kept = {key: member for key, (member, left_out) in members.items() if member is not None or not left_out}
        return kept, sum(left_out for _, left_out in members.values())
    if isinstance(value, list):
        items = [_written(item) for item in value]
        return [item for item, _ in items], sum(left_out for _, left_out in items)
    return value, 0


def mended(event: Any) -> tuple[dict[str, Any], list[str]]:
    """The event as the specification has it, and what was changed for that, each with its place; never with values.

    Raises:
        OpenLineageInvalid: it cannot be used even so.
    """
    told: list[str] = []
    if isinstance(event, dict) and not schema.is_valid(event):
        event = _Mending(told).event(event)
    if isinstance(event, dict) and isinstance(time := event.get("eventTime"), str) and (usual := _usual(time)) != time:
        event = event | {"eventTime": usual}
    event = schema.check(event)
    return event, [*told, *_too_many(event)]


_OUT = "it cannot be used and was left out"


class _Mending:
    def __init__(self, told: list[str]) -> None:
        self._told = told

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """A copy in which everything that can be mended is."""
        event = _without_nulls(event)
        self._word(event)
        self._producer(event)
        if isinstance(event.get("schemaURL"), str) and not schema.fits("Uri", event["schemaURL"]):
            del event["schemaURL"]
            self._left_out("schemaURL")
        for name in ("run", "job", "dataset"):
            if isinstance(part := event.get(name), dict):
                event[name] = self._part(part, name, event["producer"])
        self._run_id(event.get("run"))
        for name in ("inputs", "outputs"):
            if isinstance(event.get(name), list):
                event[name] = [
                    self._part(one, f"{name}.{place}", event["producer"]) if isinstance(one, dict) else one
                    for place, one in enumerate(event[name])
                    if one is not None
                ]
        return event

    def _word(self, event: dict[str, Any]) -> None:
        state = event.get("eventType")
        if isinstance(state, str) and not state.isupper():
            event["eventType"] = state.upper()
            self._told.append("eventType: it was read as if in capitals")

    def _producer(self, event: dict[str, Any]) -> None:
        if not isinstance(event.get("producer"), str) or not schema.fits("Uri", event["producer"]):
            event["producer"] = UNNAMED_PRODUCER
            self._told.append("producer: it is missing or no URI")

    def _run_id(self, run: Any) -> None:
        """One that is no UUID stands for one, the same each time."""
        if not isinstance(run, dict) or not isinstance(run.get("runId"), str) or not run["runId"]:
            return
        try:
            UUID(run["runId"])
        except ValueError:
            run["runId"] = made_id("run", run["runId"])
            self._told.append("run.runId: it is no UUID, so one was made of it")

    def _part(self, part: dict[str, Any], place: str, producer: str) -> dict[str, Any]:
        """A run, job or data set with the facets that can be used."""
        for name in _FACET_MAPS:
            if name not in part:
                continue
            if isinstance(part[name], dict):
                part[name] = self._facets(part[name], f"{place}.{name}", producer)
            else:
                del part[name]
                self._left_out(f"{place}.{name}")
        return part

    def _facets(self, facets: dict[str, Any], place: str, producer: str) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, facet in facets.items():
            if isinstance(facet, dict) and facet:
                if name == assertions.FACET and isinstance(told := facet.get("assertions"), list):
                    usable = self._assertions(told, f"{place}.{name}.assertions")
                    if told and not usable:
                        continue
                    facet = {**facet, "assertions": usable}
                named = {"_producer": producer, "_schemaURL": schema_url("BaseFacet"), **facet}
                if schema.fits("Facet", named) and schema.fits(_DEFINITIONS.get(name, "Facet"), named):
                    kept[name] = named
                    continue
            self._left_out(f"{place}.{name}")
        return kept

    def _assertions(self, told: list[Any], place: str) -> list[Any]:
        """Those that can be used; a number where a text is expected is that text."""
        kept: list[Any] = []
        odd: list[str] = []
        for number, one in enumerate(told):
            item = dict(one) if isinstance(one, dict) else one
            if isinstance(item, dict) and not schema.fits("Assertion", item):
                for name in sorted(name for name in _OPTIONAL & item.keys() if not isinstance(item[name], str)):
                    value = item.pop(name)
                    if name in _VALUES and isinstance(value, int | float | Decimal):
                        item[name] = documents.canonical(value).decode()
                        odd.append(f"{place}.{number}.{name}: it was read as a text")
                    else:
                        odd.append(f"{place}.{number}.{name}: {_OUT}")
            if schema.fits("Assertion", item):
                kept.append(item)
            else:
                odd.append(f"{place}.{number}: {_OUT}")
        self._told += odd[:_MAX_NAMED]
        if len(odd) > _MAX_NAMED:
            self._told.append(f"{place}: {len(odd) - _MAX_NAMED} more are not as they should be")
        return kept

    def _left_out(self, place: str) -> None:
        self._told.append(f"{place}: {_OUT}")


#: Facets that are read here, by the definition that they have to fit.
_DEFINITIONS = {
    MARK: "Mark",
    columns.FACET: "ColumnLineage",
    assertions.FACET: "Assertions",
    "schema": "SchemaFacet",
    links.FACET: "Symlinks",
}


#: Members of an assertion without which the rest can be used; of these, those that are values as the test saw them.
_OPTIONAL = frozenset({"severity", "name", "expected", "actual"})
_VALUES = frozenset({"expected", "actual"})
#: Places in one list that are named at most.
_MAX_NAMED = 10


def _too_many(event: dict[str, Any]) -> Iterator[str]:
    """What is kept and passed on, and is more than is mirrored."""
    sets = [("dataset", event["dataset"])] if "dataset" in event and "job" not in event else []
    sets += [(f"{name}.{at}", one) for name in ("inputs", "outputs") for at, one in enumerate(event.get(name) or ())]
    for place, dataset in sets:
        if (number := len(links.told_in(dataset))) > links.MAX_OF_FACET:
            told = f"of {number} names the first {links.MAX_OF_FACET} count"
            yield f"{place}.facets.{links.FACET}: {told}"
        for where, facet in assertions.facets_of(dataset):
            number = len(facet.get("assertions") or ())
            if number > assertions.MAX_OF_FACET:
                told = f"of {number} assertions the first {assertions.MAX_OF_FACET} are mirrored"
                yield f"{place}.{where}.{assertions.FACET}: {told}"
        if (number := columns.number_of(columns.facet_of(dataset))) > columns.MAX_OF_FACET:
            told = f"of {number} columns that others were made of the first {columns.MAX_OF_FACET} are mirrored"
            yield f"{place}.facets.{columns.FACET}: {told}"


def _without_nulls(value: Any) -> Any:
    """A copy without members that are null; items of lists stay, as their places may mean something."""
    if isinstance(value, dict):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _usual(time: str) -> str:
    """The moment as most write it; one that is no moment stays as it is."""
    match = _TIME.fullmatch(time)
    if match is None:
        return time
    day, minute, second, fraction, _, hours, minutes = match.groups()
    if second == "60":  # a leap second: the last moment before the next minute
        second, fraction = "59", ".999999"
    return f"{day}T{minute}:{second}{fraction or ''}{f'{hours}:{minutes}' if hours else 'Z'}"
