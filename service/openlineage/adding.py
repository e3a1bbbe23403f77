"""The events of one run added up to one, as OpenLineage's specification has it. Pure.

A facet is replaced as a whole by a later one of its name and thing; of one moment the one that says more counts. Data
sets add up; the state is that of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from service.openlineage.marks import MARK
from service.openlineage.reading import datasets_of, name_of
from service.openlineage.spelling import DatasetName, meant
from service.openlineage.words import LAST_STATES
from service.text import lookup
from service.text.documents import canonical
from service.text.times import read_time

_PLACES = ("facets", "inputFacets", "outputFacets")
#: How the roles of data sets are called in an event; the data set that an event alone is about is neither.
_LISTS = {"uses": "inputs", "generates": "outputs"}
_SETS, _THINGS = frozenset(_LISTS.values()), ("run", "job", "dataset")


class _Place(NamedTuple):
    """Where a facet stands: in the run, the job, the data set, or one of the data sets."""

    thing: str
    dataset: DatasetName | None
    facets: str
    name: str


def added_up(events: Sequence[dict[str, Any]], state: str | None) -> dict[str, Any]:
    """One event of the form of these, of one run, job or data set; the last one that tells the state is its frame.

    Args:
        events: at least one.
        state: what the run has come to, where it is one.
    """
    in_order = sorted(events, key=_order)
    frame = ([one for one in in_order if one.get("eventType") == state] or in_order)[-1]
    whole: dict[str, Any] = {
        name: _bare(value) if name in _THINGS else value for name, value in frame.items() if name not in _SETS
    }
    sets: dict[tuple[str, DatasetName], dict[str, Any]] = {}
    for event in in_order:
        for thing, dataset, value in _things(event):
            if dataset is not None:
                sets.setdefault((thing, dataset), {"namespace": value["namespace"], "name": value["name"]})
    for thing, dataset in sorted(sets):
        whole.setdefault(thing, []).append(sets[thing, dataset])
    for place, facet in _winners(in_order).items():
        owner = whole.get(place.thing) if place.dataset is None else sets[place.thing, place.dataset]
        if owner is not None and not lookup.mapping(facet).get("_deleted"):
            owner.setdefault(place.facets, {})[place.name] = facet
    return whole


def _bare(value: dict[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in value.items() if name not in _PLACES}


def _winners(events: Sequence[dict[str, Any]]) -> dict[_Place, Any]:
    """Of each place the facet that counts; our marks are none."""
    ranks: dict[_Place, tuple[int, int, bytes]] = {}
    winners: dict[_Place, Any] = {}
    for event in events:
        at = read_time(event["eventTime"], "eventTime") or 0
        for place, facet in _facets(event):
            text = canonical(facet)
            rank = at, len(text), text
            if place.name != MARK and (place not in ranks or ranks[place] < rank):
                ranks[place], winners[place] = rank, facet
    return winners


def _facets(event: dict[str, Any]) -> Iterator[tuple[_Place, Any]]:
    for thing, dataset, value in _things(event):
        for facets in _PLACES:
            for name, facet in lookup.mapping(value.get(facets)).items():
                yield _Place(thing, dataset, facets, name), facet


def _things(event: dict[str, Any]) -> Iterator[tuple[str, DatasetName | None, dict[str, Any]]]:
    """What of an event may have facets."""
    for thing in _THINGS:
        if thing in event:
            yield thing, None, event[thing]
    for dataset, role in datasets_of(event):
        if dataset is not event.get("dataset"):
            yield _LISTS[role], meant(name_of(dataset)), dataset


def _order(event: dict[str, Any]) -> tuple[int, bool, bytes]:
    """What came first; of one moment the end of a run comes last."""
    at = read_time(event["eventTime"], "eventTime") or 0
    return at, event.get("eventType") in LAST_STATES, canonical(event)
