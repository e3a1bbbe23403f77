"""Our mark on an OpenLineage event that goes on: by it we know the event again, in whatever words it comes back.

Another mirror may blank other values, or hash other names; likeness would take its copy for news.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from service.openlineage.words import schema_url

#: The facet of the run, the job or the data set that an event tells of: `id` is that of `openlineage_events`.
MARK = "catalogMirror_event"
#: What an event tells of, and the kind of its facets.
_HOLDERS = {"run": "RunFacet", "job": "JobFacet", "dataset": "DatasetFacet"}


def marked(event: dict[str, Any], openlineage_id: str, producer: str) -> dict[str, Any]:
    """A copy with our mark."""
    holder = _holder(event)
    thing = event[holder]
    mark = {"_producer": producer, "_schemaURL": schema_url(_HOLDERS[holder]), "id": openlineage_id}
    return {**event, holder: {**thing, "facets": {**(thing.get("facets") or {}), MARK: mark}}}


def mark_of(event: dict[str, Any]) -> str | None:
    """The id that the event has at the mirror that it comes from, if one marked it."""
    told = ((event[_holder(event)].get("facets") or {}).get(MARK) or {}).get("id")
    try:
        return str(UUID(told)) if isinstance(told, str) else None
    except ValueError:
        return None


def _holder(event: dict[str, Any]) -> str:
    return next(name for name in _HOLDERS if name in event)
