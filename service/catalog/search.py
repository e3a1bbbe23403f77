"""Global search, page by page: the one way to ask the catalog what was modified since.

It answers 10,000 documents to one query at most (docs/contract.md, "Global search"). They come oldest first, so where
a query reaches that end, the next one begins at the last moment seen; what was modified then comes twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from service.catalog.answer import Answer
from service.catalog.client import Request
from service.catalog.styles import Place, Style
from service.changes import Container

#: Documents that one query can reach.
MAX_RESULTS = 10_000
#: Documents on a page. No maximum is documented; this divides MAX_RESULTS.
PAGE = 200
MODIFIED = "metadata.modified_on"


def modified_query(since: str | None, container: Container | None = None) -> dict[str, Any]:
    """The body that asks for assets modified at or after a moment (ISO 8601), oldest first."""
    terms: list[dict[str, Any]] = [{"term": {"provider_type_id": "cams"}}]
    if container is not None:
        terms.append({"term": {f"entity.assets.{container.kind}_id": container.id}})
    if since is not None:
        terms.append(_range(since))
    order = [{MODIFIED: {"order": "asc", "unmapped_type": "date"}}]
    return {"query": {"bool": {"filter": terms}}, "sort": order, "from": 0, "size": PAGE}


def typed_query(artifact_type: str) -> dict[str, Any]:
    """The body that asks for everything of a type, oldest first."""
    return {
        **modified_query(None),
        "query": {"bool": {"filter": [{"term": {"metadata.artifact_type": artifact_type}}]}},
    }


def _range(since: str) -> dict[str, Any]:
    return {"range": {MODIFIED: {"gte": since}}}


@dataclass(frozen=True)
class Window(Style):
    """`from` counts documents; before it reaches the end of what a query can reach, the query begins later."""

    def request(self, first: Request, place: Place) -> Request:
        """With `from`, and another moment to begin at where the window moved."""
        body = {**first.body, "from": place.get("from", 0)}
        if "since" in place:
            terms = [term for term in first.body["query"]["bool"]["filter"] if "range" not in term]
            body["query"] = {"bool": {"filter": [*terms, _range(place["since"])]}}
        return replace(first, body=body)

    def after(self, first: Request, place: Place, answer: Answer, items: list[dict[str, Any]]) -> Place | None:
        """The next page of this window, or the first of the next."""
        size = first.body["size"]
        at = place.get("from", 0) + size
        total = answer.object().get("size")
        if not items or (len(items) < size and not (isinstance(total, int) and total > at)):
            return None
        if at + size <= MAX_RESULTS:
            return {**place, "from": at}
        last = _modified(items[-1])
        if last is None:
            raise answer.unusable(f"its last document has no {MODIFIED}")
        if last == place.get("since"):
            raise answer.unusable(f"more than {MAX_RESULTS} documents were modified at {last}")
        return {"from": 0, "since": last}


def _modified(item: dict[str, Any]) -> str | None:
    metadata = item.get("metadata")
    value = metadata.get("modified_on") if isinstance(metadata, dict) else None
    return value if isinstance(value, str) and value else None
