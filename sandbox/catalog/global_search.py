"""Global search: one index over all containers and the glossary, sorted by the time of the last change."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from sandbox.catalog.cards import Card
from sandbox.catalog.clock import iso_millis, parse_time, to_millis
from sandbox.catalog.containers import ACCOUNT, Containers
from sandbox.catalog.generator import Plot, Wanted
from sandbox.catalog.glossary import Glossary
from sandbox.catalog.problems import bad_request
from sandbox.catalog.search_index import SearchIndex, modified_ms

#: Documents that one query gives out in all.
RESULT_LIMIT = 10_000
_CAMS, _GLOSSARY = "cams", "glossary"
#: Fields that a filter may name, and the row that each is compared with.
_CONTAINER_FIELDS = {f"entity.assets.{kind}_id" for kind in ("catalog", "project", "space")}
_FIELDS = {"provider_type_id", "metadata.artifact_type", "artifact_id", "entity.assets.asset_id", *_CONTAINER_FIELDS}


@dataclass(slots=True)
class Criteria:
    """What a query asks for; `terms` are the values that a field may have."""

    low_ms: float = float("-inf")
    high_ms: float = float("inf")
    terms: dict[str, set[str]] = field(default_factory=dict)
    order: Literal["asc", "desc"] = "desc"
    size: int = 10
    start: int = 0

    def allows(self, name: str, value: str) -> bool:
        """Whether a field may have this value."""
        return name not in self.terms or value in self.terms[name]

    @property
    def wanted(self) -> list[Wanted]:
        """Asset types that are asked for."""
        return [Wanted(asset_type=one) for one in sorted(self.terms.get("metadata.artifact_type", ()))] or [Wanted()]

    @property
    def asset_ids(self) -> set[str] | None:
        """Assets that are asked for by their ids; None means that none was named."""
        asked = [self.terms[name] for name in ("artifact_id", "entity.assets.asset_id") if name in self.terms]
        return set.intersection(*asked) if asked else None


#: When it was changed, its id, and the card with its container's id, the metadata of an artifact or category, or the
#: number of a generated asset.
_Hit = tuple[int, str, tuple[Card, str] | dict[str, Any] | int]


class GlobalSearch:
    """Answers queries in the small part of the Elasticsearch language that reading along needs."""

    def __init__(self, index: SearchIndex, containers: Containers, glossary: Glossary) -> None:
        self._index, self._containers, self._glossary = index, containers, glossary

    def find(self, criteria: Criteria) -> tuple[list[dict[str, Any]], int]:
        """One page of rows, and how many there are in all."""
        self._index.catch_up()
        backward = criteria.order == "desc"
        sources = [self._generated(criteria), self._changed(criteria), self._artifacts(criteria)]
        if backward:
            sources[1:] = [iter(list(source)[::-1]) for source in sources[1:]]
        hits = heapq.merge(*sources, key=lambda hit: hit[:2], reverse=backward)
        page = list(islice(hits, criteria.start, criteria.start + criteria.size))
        total = self._generated_total(criteria) + sum(1 for _ in self._changed(criteria))
        return [self._row(hit) for hit in page], total + sum(1 for _ in self._artifacts(criteria))

    def _plots(self, criteria: Criteria) -> list[tuple[Plot, int, int]]:
        """Readable plots with the range of numbers that the time allows."""
        if not criteria.allows("provider_type_id", _CAMS):
            return []
        generator = self._index.generator
        low = generator.first_modified_since(criteria.low_ms) if criteria.low_ms > 0 else 0
        high = generator.first_modified_since(criteria.high_ms) if criteria.high_ms < float("inf") else generator.count
        return [
            (plot, max(low, plot.start), min(high, plot.end))
            for plot in generator.plots
            if plot.container.readable and self._container_fits(criteria, plot.container.id)
        ]

    def _ranges(self, criteria: Criteria) -> list[tuple[Plot, int, int]]:
        """The same, cut down to single numbers where ids are asked for."""
        plots = self._plots(criteria)
        if (asked := criteria.asset_ids) is None:
            return plots
        numbers = sorted(number for one in asked if (number := self._index.generator.index_of(one)) is not None)
        return [(plot, number, number + 1) for plot, low, high in plots for number in numbers if low <= number < high]

    def _container_fits(self, criteria: Criteria, container_id: str) -> bool:
        kind = self._containers.get(container_id).kind
        asked = _CONTAINER_FIELDS & criteria.terms.keys()
        own = f"entity.assets.{kind}_id"
        return not asked or (asked == {own} and criteria.allows(own, container_id))

    def _generated(self, criteria: Criteria) -> Iterator[_Hit]:
        generator, backward = self._index.generator, criteria.order == "desc"
        ranges = self._ranges(criteria)
        for plot, low, high in ranges[::-1] if backward else ranges:
            found = [generator.numbers(plot, one, low, high, backward=backward) for one in criteria.wanted]
            for number in heapq.merge(*found, reverse=backward):
                if not self._index.is_changed(number):
                    yield generator.modified_ms(number), generator.asset_id(number), number

    def _generated_total(self, criteria: Criteria) -> int:
        ranges = self._ranges(criteria)
        index = self._index
        return sum(index.fresh_total(plot, one, low, high) for plot, low, high in ranges for one in criteria.wanted)

    def _changed(self, criteria: Criteria) -> Iterator[_Hit]:
        if not criteria.allows("provider_type_id", _CAMS):
            return
        for at_ms, card, container_id in self._index.changed_by_time():
            asset_id = card["metadata"]["asset_id"]
            fits = (
                criteria.low_ms <= at_ms < criteria.high_ms
                and criteria.allows("metadata.artifact_type", card["metadata"]["asset_type"])
                and criteria.allows("artifact_id", asset_id)
                and criteria.allows("entity.assets.asset_id", asset_id)
                and self._containers.get(container_id).readable
                and self._container_fits(criteria, container_id)
            )
            if fits:
                yield at_ms, asset_id, (card, container_id)

    def _artifacts(self, criteria: Criteria) -> Iterator[_Hit]:
        if not criteria.allows("provider_type_id", _GLOSSARY) or (_CONTAINER_FIELDS & criteria.terms.keys()):
            return
        hits: list[_Hit] = []
        categories = self._glossary.categories
        told = [one.latest["metadata"] for one in self._glossary.published()]
        for one in told + [categories.metadata(one) for one in categories.all()]:
            at_ms = to_millis(parse_time(one["modified_at"]))
            fits = criteria.low_ms <= at_ms < criteria.high_ms and criteria.allows("artifact_id", one["artifact_id"])
            if fits and criteria.allows("metadata.artifact_type", one["artifact_type"]):
                hits.append((at_ms, one["artifact_id"], one))
        yield from sorted(hits, key=lambda hit: hit[:2])

    def _row(self, hit: _Hit) -> dict[str, Any]:
        _, _, found = hit
        if isinstance(found, dict):
            return _artifact_row(found)
        if isinstance(found, int):
            plot = self._index.generator.plot_of(found)
            return _asset_row(self._index.generator.card(found), plot.container.kind, plot.container.id)
        card, container_id = found
        return _asset_row(card, self._containers.get(container_id).kind, container_id)


def parse_query(body: Any) -> Criteria:
    """Read a query; raises Problem 400 for what is wrong or not known to the pocket catalog."""
    if not isinstance(body, dict):
        raise bad_request("The body is no query.")
    criteria = Criteria(size=_count(body, "size", 10), start=_count(body, "from", 0), order=_order(body.get("sort")))
    if criteria.start + criteria.size > RESULT_LIMIT:
        raise bad_request(f"from + size must not be more than {RESULT_LIMIT}.")
    query = body.get("query", {"match_all": {}})
    clauses = query.get("bool", {}).get("filter", []) if "match_all" not in query else []
    if "match_all" not in query and "bool" not in query:
        raise bad_request("The pocket catalog knows query.bool.filter and match_all only.")
    for clause in clauses if isinstance(clauses, list) else [clauses]:
        _read_clause(clause, criteria)
    return criteria


def _read_clause(clause: Any, criteria: Criteria) -> None:
    if not isinstance(clause, dict) or len(clause) != 1:
        raise bad_request(f"Not a filter: {clause!r}.")
    (kind, inner), = clause.items()  # fmt: skip
    if kind in ("term", "terms") and isinstance(inner, dict) and inner.keys() <= _FIELDS | _keywords():
        for name, value in inner.items():
            value = value.get("value") if isinstance(value, dict) else value
            values = set(value) if isinstance(value, list) else {str(value)}
            criteria.terms[name.removesuffix(".keyword")] = values
    elif kind == "range" and isinstance(inner, dict) and inner.keys() == {"metadata.modified_on"}:
        _read_range(inner["metadata.modified_on"], criteria)
    else:
        raise bad_request(f"The pocket catalog does not know this filter: {clause!r}.")


def _keywords() -> set[str]:
    return {f"{name}.keyword" for name in _FIELDS}


def _read_range(bounds: dict[str, Any], criteria: Criteria) -> None:
    for name, value in bounds.items():
        at_ms = _millis(value)
        if name in ("gte", "gt"):
            criteria.low_ms = at_ms + (name == "gt")
        elif name in ("lte", "lt"):
            criteria.high_ms = at_ms + (name == "lte")
        elif name != "format":
            raise bad_request(f"Not a bound: {name!r}.")


def _millis(value: Any) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    try:
        return to_millis(parse_time(str(value)))
    except ValueError:
        raise bad_request(f"Not a time: {value!r}.") from None


def _order(sort: Any) -> Literal["asc", "desc"]:
    asked = sort[0] if isinstance(sort, list) and sort else sort
    if asked is None:
        return "desc"
    if not isinstance(asked, dict) or list(asked) != ["metadata.modified_on"]:
        raise bad_request("The pocket catalog sorts by metadata.modified_on only.")
    how = asked["metadata.modified_on"]
    return "asc" if (how.get("order") if isinstance(how, dict) else how) == "asc" else "desc"


def _count(body: dict[str, Any], name: str, default: int) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or value < 0:
        raise bad_request(f"{name} must be a number from 0 on.")
    return value


def _asset_row(card: Card, kind: str, container_id: str) -> dict[str, Any]:
    metadata = card["metadata"]
    at_ms = modified_ms(card)
    columns = card["entity"].get("data_asset", {}).get("columns", [])
    return {
        "provider_type_id": _CAMS,
        "tenant_id": ACCOUNT,
        "artifact_id": metadata["asset_id"],
        # Of some documents the index does not know it.
        "last_updated_at": 0 if int(metadata["asset_id"][:4], 16) % 5 == 0 else at_ms,
        "metadata": {
            "name": metadata["name"],
            "description": metadata.get("description", ""),
            "artifact_type": metadata["asset_type"],
            "tags": metadata.get("tags", []),
            "modified_on": iso_millis(at_ms / 1000),
            "modified_by": metadata["usage"]["last_updater_id"],
            "terms": [one["term_display_name"] for one in card["entity"].get("asset_terms", {}).get("list", [])],
            "term_global_ids": [],
            "steward_ids": [],
            "state": metadata["asset_state"],
            "classifications": [],
        },
        "entity": {
            "assets": {
                "asset_id": metadata["asset_id"],
                "asset_name": metadata["name"],
                f"{kind}_id": container_id,
                "resource_key": metadata.get("resource_key"),
                "column_names": [one["name"] for one in columns],
            }
        },
        "custom_attributes": [],
        "categories": [],
    }


def _artifact_row(metadata: dict[str, Any]) -> dict[str, Any]:
    at_ms = to_millis(parse_time(metadata["modified_at"]))
    return {
        "provider_type_id": _GLOSSARY,
        "tenant_id": ACCOUNT,
        "artifact_id": metadata["artifact_id"],
        "last_updated_at": at_ms,
        "metadata": {
            "name": metadata["name"],
            "description": metadata["short_description"],
            "artifact_type": metadata["artifact_type"],
            "tags": metadata["tags"],
            "modified_on": metadata["modified_at"],
            "modified_by": metadata["modified_by"],
            "state": metadata["state"],
        },
        "entity": {
            "artifacts": {
                "global_id": metadata["global_id"],
                "version_id": metadata["version_id"],
                "artifact_id": metadata["artifact_id"],
            }
        },
        "custom_attributes": [],
        "categories": [],
    }
