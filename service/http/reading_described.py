"""What is read of the mirror, described by OpenAPI: parameters as they are checked, answers as their classes are."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from service.http.describing import answers, object_of, operation, path, ref
from service.http.parameters import Parameters
from service.http.reading import NOTHING, SEARCH, SEARCH_OF, page_of
from service.http.tokens import Scope
from service.mirror.described import VIEWS
from service.queries.artifacts import Artifact
from service.queries.assets import Whole
from service.queries.overview import Overview
from service.queries.search import Found
from service.queries.views import ViewsDescribed


@cache
def paths() -> dict[str, Any]:
    """Every path of `service.http.reading`."""
    return {
        "/api/overview": _get("getOverview", "How everything is: what flows, waits and is stuck", "Overview", NOTHING),
        "/api/search": _get("search", "What is called so, of everything that has a name", "Found", SEARCH),
        "/api/assets": _get("searchAssets", "The same of assets and data sets alone", "Found", SEARCH_OF),
        "/api/assets/{asset_id}": _get("getAsset", "One asset, and all around it", "Whole", NOTHING, "asset_id"),
        "/api/artifacts": _get("searchArtifacts", "The same of artifacts of the glossary alone", "Found", SEARCH_OF),
        "/api/artifacts/{artifact_id}": _get(
            "getArtifact", "One artifact, and where it is used", "Artifact", NOTHING, "artifact_id"
        ),
        "/api/views": _get("getViews", "Every view with its columns", "ViewsDescribed", NOTHING),
        "/api/views/{view}": page(),
    }


def _get(
    operation_id: str, summary: str, schema: str, asked_by: Parameters, thing: str | None = None
) -> dict[str, Any]:
    parameters = [*([path(thing)] if thing else []), *asked_by.described()]
    told = answers("200", ref(schema), "400", *(["404"] if thing else []))
    return _operation(operation_id, summary, parameters, told)


def page(view: str | None = None) -> dict[str, Any]:
    """A page of a view: of this one, or of whichever the path names."""
    told = answers("200", ref("Page"), "400", *(["404"] if view is None else []))
    told["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    named = {"name": "view", "in": "path", "required": True, "schema": {"type": "string", "enum": sorted(VIEWS)}}
    parameters = [*([named] if view is None else []), *page_of(view).described()]
    return _operation(f"getPage{view or ''}", "One page of a view", parameters, told)


def _operation(operation_id: str, summary: str, parameters: list[Any], told: dict[str, Any]) -> dict[str, Any]:
    unchanged = {"304": {"description": "As it was when it had the ETag of `If-None-Match`."}}
    return {
        "get": operation(
            operation_id, summary, Scope.READ, parameters=parameters, responses=dict(sorted((told | unchanged).items()))
        )
    }


@cache
def schemas() -> dict[str, Any]:
    """What is answered, made of the classes of `service.queries`; and a page of each view."""
    kinds = (Overview, Found, Whole, Artifact, ViewsDescribed)
    _, found = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    following = {"type": ["string", "null"], "description": "The cursor of the next page, if there is one."}
    rows = {"type": "array", "items": {"type": "object"}, "description": "By column, as `/api/views` tells them."}
    return {**found, "Page": object_of(["rows", "next"], rows=rows, next=following)}
