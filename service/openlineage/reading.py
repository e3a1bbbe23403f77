"""From OpenLineage to the catalog's lineage: pure, no store.

All events of a run are one lineage event, whose id is the run's: inputs that START tells and outputs that COMPLETE
tells belong together. Each event is also kept as it was sent, for other OpenLineage backends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from service.changes import (
    AssertionMade,
    ColumnsTold,
    Container,
    DatasetLinked,
    LineageEdge,
    LineageRecorded,
    Original,
    Rank,
    Role,
    Version,
)
from service.errors import FieldInvalid
from service.events.fields import is_usable_id
from service.events.lineage import LineageEvent, bare_asset
from service.events.message import Event
from service.openlineage import assertions, columns, links, runs, schema
from service.openlineage.marks import mark_of
from service.openlineage.naming import place_of
from service.openlineage.spelling import DatasetName
from service.openlineage.words import (
    ASSET_PROPERTY,
    DATASET_DESCRIBED,
    EVENT_FACET,
    EVENT_TYPES,
    JOB_DESCRIBED,
    LAST_STATES,
    asset_id_of,
    made_id,
)
from service.text.documents import document
from service.text.times import read_time, to_iso_milliseconds

#: The account of whoever is not told to be of another one: that of installations on premises.
ACCOUNT = "999"
#: How the catalog's lineage calls a data set, and what happens to one.
_DATA_SET = "DataSet"
_RELATIONS: dict[Role, str] = {"uses": "Used", "generates": "Created"}
#: Of one moment, what happens later in a run counts more: producers give its START and what follows the same time.
_RANKS = {"START": Rank.READ}


def envelope(
    event: dict[str, Any], assets: list[dict[str, Any]], names: Mapping[DatasetName, DatasetName] | None = None
) -> dict[str, Any]:
    """What travels through the pipeline: the event, and what was looked up of it (`resolving.envelopes`).

    Args:
        assets: which assets its data sets are, by what they are called here.
        names: what is called otherwise here than the event has it.
    """
    told = {"event": event, "assets": assets}
    if names:
        renamed = [
            {**name._asdict(), "to_namespace": to.namespace, "to_name": to.name} for name, to in sorted(names.items())
        ]
        told["names"] = renamed
    return told


def recorded(body: dict[str, Any], came_from: str) -> LineageRecorded:
    """The lineage event that an envelope tells.

    Raises:
        FieldInvalid: the envelope holds no OpenLineage event, or a time that is none.
    """
    event = schema.check(body.get("event"))
    state = event.get("eventType")
    ours = _our_event(event)
    if ours is not None:
        return LineageEvent.read(Event("", (), ours)).recorded(came_from)
    at_us = read_time(event["eventTime"], "eventTime")
    known = _Known.of(body)
    ends = _ends(event, known)
    kept = document(_body(event, ends, at_us, came_from))
    rank, ended = _RANKS.get(state or "", Rank.EVENT), state in LAST_STATES
    return LineageRecorded(
        event_id=_event_id(event),
        version=Version(at_us, rank, kept.digest, kept.digest, ended),
        document=kept,
        event_type=_event_type(event),
        categories=(_category(event),),
        source_service=_source_service(event),
        user_id=came_from,
        edges=tuple(edge for edge, _ in ends),
        came_from=came_from,
        accumulates="run" in event,
        is_complete=_is_complete(event),
        original=_original(event),
        assertions=_assertions(event, known, at_us or 0),
        columns=_columns(event, known, at_us or 0),
        run_facts=runs.facts_of(event, at_us or 0) if "run" in event else (),
        links=_links(event, known, at_us or 0),
    )


def datasets_of(event: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Role]]:
    """The data sets of an event, each with its role; a dataset event tells of something that happened to one."""
    if "dataset" in event and "job" not in event:
        yield event["dataset"], "uses"
    for dataset in event.get("inputs") or ():
        yield dataset, "uses"
    for dataset in event.get("outputs") or ():
        yield dataset, "generates"


def sources_of_columns(event: dict[str, Any]) -> set[DatasetName]:
    """The data sets that the event's columns were made of; some of them it may name nowhere else."""
    facets = (columns.facet_of(dataset) for dataset, _ in datasets_of(event))
    return {name_of(source) for facet in facets for source in columns.inputs_of(facet)}


def name_of(dataset: dict[str, Any]) -> DatasetName:
    """What names a data set."""
    return DatasetName(dataset["namespace"], dataset["name"])


def names_of(dataset: dict[str, Any]) -> list[DatasetName]:
    """All that a data set is called: its own name, then its symlinks."""
    return list(dict.fromkeys((name_of(dataset), *links.names_in(dataset))))


def _original(event: dict[str, Any]) -> Original:
    """The event as it is kept: by the mark of the mirror that it comes from, else by all that it says."""
    kept, mark = document(event), mark_of(event)
    former = _likeness(event)
    return Original(mark or made_id("event", former, kept.digest.hex()), kept, former)


def _likeness(event: dict[str, Any]) -> str:
    """The id that versions up to schema 0112 gave: events of one state and moment that name the same are one to it."""
    job = event.get("job") or {}
    names = sorted(f"{role} {'/'.join(name_of(dataset))}" for dataset, role in datasets_of(event))
    return made_id(
        "event", _run_id(event), str(event.get("eventType")), event["eventTime"], str(job.get("namespace")),
        str(job.get("name")), *names,
    )  # fmt: skip


def _our_event(event: dict[str, Any]) -> dict[str, Any] | None:
    """The catalog's lineage event, where another mirror has told it as a run."""
    facets = (event.get("run") or {}).get("facets") or {}
    told = (facets.get(EVENT_FACET) or {}).get("event")
    if told is not None and not isinstance(told, dict):
        raise FieldInvalid(field=f"run.facets.{EVENT_FACET}.event", problem="it is no object")
    return told


def _run_id(event: dict[str, Any]) -> str:
    return str(UUID(event["run"]["runId"])) if "run" in event else ""


def _event_id(event: dict[str, Any]) -> str:
    if "run" in event:
        return _run_id(event)
    if "job" in event:
        return made_id("job", event["job"]["namespace"], event["job"]["name"])
    return made_id("dataset", *name_of(event["dataset"]))


def _event_type(event: dict[str, Any]) -> str:
    if "run" in event:
        return EVENT_TYPES[event.get("eventType") or "OTHER"]
    return JOB_DESCRIBED if "job" in event else DATASET_DESCRIBED


def _is_complete(event: dict[str, Any]) -> bool:
    """Whether the catalog may be told: a run that succeeded, or what a job is made to do."""
    return event.get("eventType") == "COMPLETE" if "run" in event else "job" in event


def _category(event: dict[str, Any]) -> str:
    return "additions" if event.get("outputs") else "modifications"


def _source_service(event: dict[str, Any]) -> str:
    """The job, by which people know what ran; for a data set alone, who tells of it."""
    return f"{event['job']['namespace']}/{event['job']['name']}" if "job" in event else str(event["producer"])


class _Known(NamedTuple):
    """What was looked up of an event: its names by what it has, and assets by their names here."""

    names: dict[DatasetName, DatasetName]
    assets: dict[DatasetName, dict[str, Any]]

    @classmethod
    def of(cls, body: dict[str, Any]) -> _Known:
        """What an envelope holds."""
        names = {name_of(one): DatasetName(one["to_namespace"], one["to_name"]) for one in body.get("names") or ()}
        return cls(names, {name_of(found): found for found in body.get("assets") or ()})

    def called(self, dataset: dict[str, Any]) -> list[DatasetName]:
        """All that a data set is called here, by its own name first."""
        return list(dict.fromkeys(self.names.get(name, name) for name in names_of(dataset)))


def _ends(event: dict[str, Any], known: _Known) -> list[tuple[LineageEdge, DatasetName]]:
    """The assets of the event, each once per role, with what OpenLineage calls them."""
    ends: dict[tuple[str, Role], tuple[LineageEdge, DatasetName]] = {}
    for dataset, role in datasets_of(event):
        edge = _edge(dataset, role, known)
        ends.setdefault((edge.asset_id, role), (edge, name_of(dataset)))
    return list(ends.values())


def _edge(dataset: dict[str, Any], role: Role, known: _Known) -> LineageEdge:
    """The asset that a data set says it is by any of its names; else one that is known to lie there."""
    relation, names = _RELATIONS[role], known.called(dataset)
    own = names[0]
    for name in names:
        if place := place_of(name):
            return LineageEdge(place[0], role, relation, _DATA_SET, own.name, place[1])
    found = next((known.assets[name] for name in names if name in known.assets), None)
    if found:
        container = Container(found["container_kind"], found["container_id"]) if found.get("container_id") else None
        return LineageEdge(found["asset_id"], role, relation, _DATA_SET, found.get("title") or own.name, container)
    return LineageEdge(asset_id_of(own), role, relation, _DATA_SET, own.name)


def _assertions(event: dict[str, Any], known: _Known, at_us: int) -> tuple[AssertionMade, ...]:
    told = (
        assertions.Told(name_of(dataset), _edge(dataset, role, known).asset_id, facet)
        for dataset, role in datasets_of(event)
        for _, facet in assertions.facets_of(dataset)
    )
    return assertions.made(_event_id(event), _source_service(event), at_us, told)


def _columns(event: dict[str, Any], known: _Known, at_us: int) -> tuple[ColumnsTold, ...]:
    """What columns were made of; a data set is the same asset there as it is in the event."""
    ids = {name_of(one): _edge(one, role, known).asset_id for one, role in datasets_of(event)}

    def here(name: DatasetName) -> columns.Here:
        called = known.names.get(name, name)
        asset_id = ids[name] if name in ids else _edge(name._asdict(), "uses", known).asset_id
        return columns.Here(asset_id if is_usable_id(asset_id) else asset_id_of(called), called)

    facets = ((name_of(one), columns.facet_of(one)) for one, _ in datasets_of(event))
    told = [columns.Told(name, facet) for name, facet in facets if facet]
    return columns.told(_event_id(event), at_us, told, here) if told else ()


def _links(event: dict[str, Any], known: _Known, at_us: int) -> tuple[DatasetLinked, ...]:
    """What the event says of further names of its data sets."""
    told = (
        links.Told(name_of(dataset), _edge(dataset, role, known).asset_id, _ids_of(dataset, known))
        for dataset, role in datasets_of(event)
        if links.is_told(dataset)
    )
    return links.made(_event_id(event), at_us, told)


def _ids_of(dataset: dict[str, Any], known: _Known) -> dict[str, bool]:
    """Ids of all that a data set is called, and whether each is that of an asset of the catalog."""
    ids: dict[str, bool] = {}
    for name in known.called(dataset):
        if place := place_of(name):
            ids[place[0]] = True
        else:
            ids.setdefault(asset_id_of(name), False)
        if found := known.assets.get(name):
            ids[found["asset_id"]] = True
    return {asset_id: is_asset for asset_id, is_asset in ids.items() if is_usable_id(asset_id)}


def _body(
    event: dict[str, Any], ends: list[tuple[LineageEdge, DatasetName]], at_us: int | None, came_from: str
) -> dict[str, Any]:
    """The event in the catalog's form."""
    return {
        "message_version": "v1",
        "user_id": came_from,
        "account_id": ACCOUNT,
        "event_details": {
            "event_id": _event_id(event),
            "event_type": _event_type(event),
            "event_category": [_category(event)],
            "event_time": to_iso_milliseconds(at_us or 0),
            "event_source_service": _source_service(event),
        },
        "uses_assets": [_asset(*end) for end in ends if end[0].role == "uses"],
        "generates_assets": [_asset(*end) for end in ends if end[0].role == "generates"],
    }


def _asset(edge: LineageEdge, name: DatasetName) -> dict[str, Any]:
    """The asset of the catalog's form, which keeps what OpenLineage calls it."""
    asset = bare_asset(edge)
    asset["properties"][ASSET_PROPERTY] = {"type": ASSET_PROPERTY, "value": name._asdict()}
    return asset
