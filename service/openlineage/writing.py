"""From the catalog's lineage to OpenLineage: pure, no store. One lineage event becomes a run: START, then COMPLETE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.changes import AssetColumn, Container
from service.events.lineage import LineageEvent
from service.events.message import Event
from service.openlineage.naming import by_place
from service.openlineage.spelling import DatasetName
from service.openlineage.words import (
    ASSET_PROPERTY,
    EVENT_FACET,
    LAST_STATES,
    RUN_STATES,
    facet,
    run_id_of,
    schema_url,
)
from service.text import lookup
from service.text.times import to_datetime

#: The job's namespace where a lineage event names no service.
_NO_SERVICE = "catalog"


@dataclass(frozen=True, slots=True)
class Described:
    """What the mirror knows of an asset: what its data is called, and its columns."""

    name: DatasetName
    columns: tuple[AssetColumn, ...] = ()


@dataclass(frozen=True, slots=True)
class ColumnFlow:
    """One column that goes into another one, by assets and names of columns."""

    source_id: str
    source_column: str
    target_id: str
    target_column: str


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the mirror adds to a lineage event."""

    assets: Mapping[str, Described] = field(default_factory=dict)
    columns: tuple[ColumnFlow, ...] = ()


def run_events(body: dict[str, Any], known: Knowledge, producer: str) -> list[dict[str, Any]]:
    """The run that a lineage event of the catalog's form is told as: two events, START first.

    Args:
        body: the catalog's form, as it is stored.
        known: names and columns of its assets; an asset that is not among them is called by its place in the catalog.
        producer: the URI that says who tells of it.

    Raises:
        FieldInvalid: the body is no lineage event.
    """
    event = LineageEvent.read(Event("", (), body))
    state = RUN_STATES.get(event.event_type or "", "COMPLETE")
    common = {
        "producer": producer,
        "schemaURL": schema_url("RunEvent"),
        "eventTime": _moment(event.at_us),
        "run": {"runId": run_id_of(event.event_id), "facets": {EVENT_FACET: _event_facet(body, producer)}},
        "job": _job(event),
        "inputs": [_dataset(asset, known, producer) for asset in body.get("uses_assets") or ()],
        "outputs": [
            _with_columns(_dataset(asset, known, producer), asset, known, producer)
            for asset in body.get("generates_assets") or ()
        ],
    }
    return [{"eventType": "START"} | common, {"eventType": state if state in LAST_STATES else "COMPLETE"} | common]


def asset_ids(body: dict[str, Any]) -> list[str]:
    """The assets that a lineage event names."""
    return sorted({asset["id"] for asset in _assets(body) if isinstance(asset.get("id"), str)})


def _assets(body: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return [*(body.get("uses_assets") or ()), *(body.get("generates_assets") or ())]


def _moment(at_us: int | None) -> str:
    return to_datetime(at_us or 0).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _event_facet(body: dict[str, Any], producer: str) -> dict[str, Any]:
    return {"_producer": producer, "_schemaURL": schema_url("RunFacet"), "event": body}


def _job(event: LineageEvent) -> dict[str, Any]:
    """The job that the event names where it tells of one, else what its service does to its first asset."""
    service = event.source_service or _NO_SERVICE
    if event.event_type in RUN_STATES and "/" in service:
        namespace, _, name = service.rpartition("/")
        return {"namespace": namespace or _NO_SERVICE, "name": name or service}
    first = next((edge.asset_id for role in ("generates", "uses") for edge in event.edges if edge.role == role), "")
    return {"namespace": service, "name": ".".join(word for word in (event.event_type or "event", first) if word)}


def _dataset(asset: dict[str, Any], known: Knowledge, producer: str) -> dict[str, Any]:
    asset_id, place = str(asset.get("id")), _place(asset)
    described = known.assets.get(asset_id)
    name = _kept_name(asset) or (described.name if described else by_place(asset_id, place))
    facets: dict[str, Any] = {}
    if name != (identity := by_place(asset_id, place)):
        identifier = {"namespace": identity.namespace, "name": identity.name, "type": "ASSET"}
        facets["symlinks"] = facet(
            producer, "1-0-1/SymlinksDatasetFacet.json#/$defs/SymlinksDatasetFacet", identifiers=[identifier]
        )
    if described and described.columns:
        fields = [_column(column) for column in described.columns]
        facets["schema"] = facet(producer, "1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet", fields=fields)
    return {"namespace": name.namespace, "name": name.name, "facets": facets}


def _kept_name(asset: dict[str, Any]) -> DatasetName | None:
    """What OpenLineage called it, where the event came from there."""
    kept = lookup.at(asset, ("properties", ASSET_PROPERTY, "value"))
    namespace, name = lookup.at(kept, ("namespace",)), lookup.at(kept, ("name",))
    return DatasetName(namespace, name) if isinstance(namespace, str) and isinstance(name, str) else None


def _place(asset: dict[str, Any]) -> Container | None:
    (edge,) = LineageEvent.read(Event("", (), {"event_details": {"event_id": "-"}, "uses_assets": [asset]})).edges
    return edge.container


def _column(column: AssetColumn) -> dict[str, Any]:
    told = {"name": column.name, "type": column.native_type or column.data_type, "description": column.description}
    return {name: value for name, value in told.items() if value}


def _with_columns(dataset: dict[str, Any], asset: dict[str, Any], known: Knowledge, producer: str) -> dict[str, Any]:
    """The data set with the columns that went into its own, where the catalog relates columns."""
    fields: dict[str, dict[str, Any]] = {}
    for flow in known.columns:
        source = known.assets.get(flow.source_id)
        if flow.target_id == asset.get("id") and source:
            told = {**source.name._asdict(), "field": flow.source_column}
            fields.setdefault(flow.target_column, {"inputFields": []})["inputFields"].append(told)
    if fields:
        url = "1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet"
        dataset["facets"]["columnLineage"] = facet(producer, url, fields=fields)
    return dataset
