"""Further names of data sets: the facet `symlinks`. Pure.

Of a run's facets for one data set the newest counts as a whole, of one moment the one that says more; one that is
empty, or deleted, takes back what was told before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from service.changes import DatasetLinked
from service.openlineage.facets import version_of
from service.openlineage.spelling import DatasetName, meant
from service.openlineage.words import made_id
from service.text import lookup
from service.text.documents import canonical, digest_of

FACET = "symlinks"
#: Names of one facet that count.
MAX_OF_FACET = 100


class Told(NamedTuple):
    """A data set with such a facet: what its edge calls it, and by all ids that it has whether each is an asset's."""

    dataset: DatasetName
    asset_id: str
    ids: Mapping[str, bool]


def is_told(dataset: dict[str, Any]) -> bool:
    """Whether a data set has the facet, be it to say that there are no further names."""
    return bool(lookup.mapping(dataset.get("facets")).get(FACET))


def told_in(dataset: dict[str, Any]) -> list[dict[str, Any]]:
    """The identifiers in the facet of a data set; none where it is deleted."""
    facet = lookup.mapping(lookup.mapping(dataset.get("facets")).get(FACET))
    return [] if facet.get("_deleted") else facet.get("identifiers") or []


def names_in(dataset: dict[str, Any]) -> list[DatasetName]:
    """The further names of a data set, as far as they count."""
    return [DatasetName(one["namespace"], one["name"]) for one in told_in(dataset)[:MAX_OF_FACET]]


def made(event_id: str, at_us: int, told: Iterable[Told]) -> tuple[DatasetLinked, ...]:
    """What an event says of the names of its data sets; of one whose facet has none of them, just that."""
    sets: dict[DatasetName, list[Told]] = {}
    for one in told:
        sets.setdefault(meant(one.dataset), []).append(one)
    return tuple(row for name, ones in sets.items() for row in _rows(event_id, at_us, name, ones))


def _rows(event_id: str, at_us: int, name: DatasetName, told: list[Told]) -> Iterator[DatasetLinked]:
    facet_id = made_id(FACET, event_id, *name)
    linked = sorted(
        {
            (one.asset_id, one.ids.get(one.asset_id, False), other, is_asset)
            for one in told
            for other, is_asset in one.ids.items()
            if other != one.asset_id
        }
    )
    text = canonical(linked)
    version = version_of(at_us, text, digest_of(text))
    for ids in linked:
        yield DatasetLinked(facet_id, version, *ids)
    if not linked:
        yield DatasetLinked(facet_id, version, min(one.asset_id for one in told))
