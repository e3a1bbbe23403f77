"""What columns were made of: the facet `columnLineage`, in every version that it has had. Pure.

Of a run's facets for one data set the newest counts as a whole, of one moment the one that says more.
https://openlineage.io/docs/spec/facets/dataset-facets/column_lineage_facet tells of `fields` and of `dataset`: the
columns that decide about the data set as a whole. Up to version 1-0-1 a field says how it was made once for all that it
was made of, in later ones each of these says so itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from service.changes import ColumnEdge, ColumnsTold
from service.openlineage.facets import version_of
from service.openlineage.spelling import DatasetName, column_key, meant
from service.openlineage.words import made_id
from service.text import lookup
from service.text.documents import canonical, digest_of

FACET = "columnLineage"
#: Edges of one facet that are mirrored.
MAX_OF_FACET = 50_000
#: The key of the data set as a whole.
WHOLE = ""


class Here(NamedTuple):
    """A data set as it is known here: its asset, and what rules of settings call it."""

    asset_id: str
    called: DatasetName


class Told(NamedTuple):
    """A facet, and the data set that it is of."""

    dataset: DatasetName
    facet: dict[str, Any]


HereOf = Callable[[DatasetName], Here]


def facet_of(dataset: dict[str, Any]) -> dict[str, Any]:
    """The facet of a data set; an empty one where it has none."""
    return lookup.mapping(lookup.mapping(dataset.get("facets")).get(FACET))


def inputs_of(facet: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every column that the facet says something was made of, as often as it says so."""
    for field in lookup.mapping(facet.get("fields")).values():
        yield from lookup.objects(lookup.mapping(field).get("inputFields"))
    yield from lookup.objects(facet.get("dataset"))


def number_of(facet: dict[str, Any]) -> int:
    """How many edges the facet tells, at least."""
    return sum(1 for _ in inputs_of(facet))


def told(event_id: str, at_us: int, facets: Iterable[Told], here: HereOf) -> tuple[ColumnsTold, ...]:
    """What the facets of an event tell; one that is deleted, or empty, takes back what was told before."""
    found: dict[str, ColumnsTold] = {}
    for one in facets:
        facet_id = made_id("columns", event_id, *meant(one.dataset))
        edges = () if one.facet.get("_deleted") else _edges(one, here)
        asset_id = here(one.dataset).asset_id
        text = canonical([asset_id, edges])
        version = version_of(at_us, text, digest_of(text))
        if facet_id not in found or found[facet_id].version < version:
            found[facet_id] = ColumnsTold(facet_id, version, digest_of(text).hex(), asset_id, edges)
    return tuple(found.values())


def _edges(one: Told, here: HereOf) -> tuple[ColumnEdge, ...]:
    """Each edge once, in an order that is that of no producer."""
    edges: dict[tuple[Any, ...], ColumnEdge] = {}
    for number, edge in enumerate(_all(one, here)):
        if number == MAX_OF_FACET:
            break
        key = edge.from_asset, edge.from_key, edge.to_key, edge.is_direct, edge.transformation or ""
        edges[key] = max(edges[key], edge, key=canonical) if key in edges else edge
    return tuple(edges[key] for key in sorted(edges))


def _all(one: Told, here: HereOf) -> Iterator[ColumnEdge]:
    for column, field in lookup.mapping(one.facet.get("fields")).items():
        if not column:
            continue
        for source in lookup.objects(lookup.mapping(field).get("inputFields")):
            ends = _source(source, here), (column, column_key(here(one.dataset).called, column))
            for how in lookup.objects(source.get("transformations")) or [_of_old(lookup.mapping(field))]:
                yield from _edge(*ends, how, is_direct=True)
    for source in lookup.objects(one.facet.get("dataset")):
        for how in lookup.objects(source.get("transformations")) or [{}]:
            yield from _edge(_source(source, here), (WHOLE, WHOLE), how, is_direct=False)


def _source(source: dict[str, Any], here: HereOf) -> tuple[str, str, str]:
    known, field = here(DatasetName(source["namespace"], source["name"])), source["field"]
    return known.asset_id, field, column_key(known.called, field)


def _of_old(field: dict[str, Any]) -> dict[str, Any]:
    """How a field was made, as older versions of the facet have it: IDENTITY or MASKED."""
    told = field.get("transformationType")
    masked = isinstance(told, str) and told.upper() == "MASKED"
    how = {"subtype": told, "description": field.get("transformationDescription")}
    return how | {"masking": True} if masked else how


def _edge(
    source: tuple[str, str, str], target: tuple[str, str], how: dict[str, Any], *, is_direct: bool
) -> Iterator[ColumnEdge]:
    """The edge; none where the column that it comes from has no name."""
    kind, masking = lookup.text(how.get("type")), how.get("masking")
    if kind:
        is_direct = kind.upper() != "INDIRECT"
    if source[1]:
        yield ColumnEdge(
            *source, *target, is_direct, lookup.text(how.get("subtype")), lookup.text(how.get("description")),
            masking if isinstance(masking, bool) else None,
        )  # fmt: skip
