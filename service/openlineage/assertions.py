"""What tests found of data sets: the facet `dataQualityAssertions`, wherever a producer puts it. Pure.

It is a facet of input data sets; dbt tells it in its own facets, too, and with START already. Of a run's facets
for one data set the newest counts as a whole, of one moment the one that says more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from service.changes import AssertionMade
from service.openlineage import schema
from service.openlineage.facets import version_of
from service.openlineage.spelling import DatasetName, meant
from service.openlineage.words import made_id
from service.text import lookup
from service.text.documents import canonical, digest_of

FACET = "dataQualityAssertions"
#: Where it may stand in a data set.
PLACES = ("facets", "inputFacets", "outputFacets")
#: Assertions of one facet that are mirrored.
MAX_OF_FACET = 10_000


class Told(NamedTuple):
    """A facet, the data set that it is of, and the asset that this is."""

    dataset: DatasetName
    asset_id: str
    facet: dict[str, Any]


def facets_of(dataset: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The facets of a data set that tell of tests, each with the place where it stands."""
    for place in PLACES:
        facet = lookup.mapping(dataset.get(place)).get(FACET)
        if facet and isinstance(facet, dict) and schema.fits("Assertions", facet):
            yield place, facet


def made(event_id: str, job: str, at_us: int, told: Iterable[Told]) -> tuple[AssertionMade, ...]:
    """What an event of a job says that tests found; of a data set whose facet has none of them, just that."""
    sets: dict[DatasetName, tuple[Told, dict[_Key, dict[str, Any]]]] = {}
    for one in told:
        _, items = sets.setdefault(meant(one.dataset), (one, {}))
        for key, item in _keyed(one.facet):
            items[key] = max(items.get(key, item), item, key=_richness)
    return tuple(
        row for name, (first, items) in sets.items() for row in _rows((event_id, job), at_us, name, first, items)
    )


class _Key(NamedTuple):
    """What names an assertion of a data set: those that nothing tells apart are numbered."""

    column: str
    assertion: str
    name: str
    number: int


def _keyed(facet: dict[str, Any]) -> Iterator[tuple[_Key, dict[str, Any]]]:
    if facet.get("_deleted"):
        return
    numbers: dict[tuple[str, str, str], int] = {}
    for item in facet.get("assertions", ())[:MAX_OF_FACET]:
        words = (item.get("column", ""), item["assertion"], item.get("name", ""))
        numbers[words] = numbers.get(words, 0) + 1
        yield _Key(*words, numbers[words]), item


def _rows(
    source: tuple[str, str], at_us: int, name: DatasetName, first: Told, items: dict[_Key, dict[str, Any]]
) -> Iterator[AssertionMade]:
    facet_id = made_id("assertions", source[0], *name)
    text = canonical([[*key, items[key]] for key in sorted(items)])
    digest = digest_of(canonical([*source, *first.dataset, first.asset_id]) + text)
    version = version_of(at_us, text, digest)
    common = (facet_id, version, *first.dataset, first.asset_id)
    if not items:
        yield AssertionMade(facet_id, *common)
    for key, item in items.items():
        yield AssertionMade(
            made_id("assertion", facet_id, *key[:3], str(key.number)), *common, item.get("column"), item["assertion"],
            item.get("name"), item["success"], item.get("severity"), item.get("expected"), item.get("actual"),
        )  # fmt: skip


def _richness(item: dict[str, Any]) -> tuple[int, bytes]:
    text = canonical(item)
    return len(text), text
