"""Where an asset lives, when only its id is known."""

from __future__ import annotations

from typing import Any

from service.catalog.client import CatalogClient, Request
from service.changes import Container
from service.text import lookup


async def container_of(client: CatalogClient, asset_id: str) -> Container | None:
    """The container of an asset, as the catalog's search knows it; None where it knows none.

    Raises:
        MirrorError: as `CatalogClient.call`.
    """
    terms: list[dict[str, Any]] = [{"term": {"provider_type_id": "cams"}}, {"term": {"artifact_id": asset_id}}]
    body = {"query": {"bool": {"filter": terms}}, "from": 0, "size": 1}
    answer = await client.call(Request("find_asset", "POST", "/v3/search", body=body))
    for row in answer.objects("rows"):
        if row.get("artifact_id") == asset_id:
            return place_of(row)
    return None


def place_of(row: dict[str, Any]) -> Container | None:
    """The container in a document of the search; that of a project also names a hidden catalog."""
    found = lookup.mapping(lookup.at(row, ("entity", "assets")))
    for kind in ("project", "space", "catalog"):
        container_id = lookup.text(found.get(f"{kind}_id"))
        if container_id:
            return Container(kind, container_id)
    return None
