"""Metadata imports and enrichment areas: assets of a project with an endpoint of their own."""

from __future__ import annotations

from typing import Any

from sandbox.catalog.assets import Assets, Life, Record
from sandbox.catalog.editing import Editing
from sandbox.catalog.events import Announcer
from sandbox.catalog.problems import gone, not_found

#: Asset types of both (assumed names).
IMPORT, AREA = "metadata_import", "metadata_enrichment_area"


class Enrichment:
    """Making areas and imports; deleting one is deleting an asset."""

    def __init__(self, assets: Assets, editing: Editing, announcer: Announcer) -> None:
        self._assets, self._editing, self._announcer = assets, editing, announcer

    def create_import(self, project_id: str, name: str, *, connection_id: str = "") -> str:
        """Make a metadata import; nothing tells of it."""
        about = {"connection_id": connection_id, "status": "finished", "imported_asset_count": 0}
        return self._editing.create(project_id, name, IMPORT, entity={IMPORT: about})

    def create_area(self, project_id: str, name: str, data_scope: list[str] | None = None) -> str:
        """Make an enrichment area; it is told on the broker only where it has a data scope."""
        scope = data_scope or []
        about = {"data_scope": {"enrichment_assets": scope}, "objective": {"enrichment_options": {"profile": True}}}
        area_id = self._editing.create(project_id, name, AREA, entity={AREA: about})
        if scope:
            self._announcer.enrichment_area(area_id, scope)
        return area_id

    def set_scope(self, area_id: str, data_scope: list[str]) -> None:
        """Replace what an area covers; nothing tells of it."""

        def change(card: dict[str, Any]) -> None:
            card["entity"][AREA]["data_scope"]["enrichment_assets"] = data_scope

        self._editing.edit(area_id, change)

    def read(self, asset_type: str, asset_id: str, project_id: str) -> dict[str, Any]:
        """One area or import as its endpoint shows it; raises Problem 404, or 410 when it was deleted."""
        record = self._assets.find(asset_id)
        if record is None or record.container_id != project_id:
            raise not_found(asset_type, asset_id)
        if record.life is not Life.LIVE:
            raise gone(asset_type, asset_id)
        if record.card["metadata"]["asset_type"] != asset_type:
            raise not_found(asset_type, asset_id)
        return _shown(record)


def _shown(record: Record) -> dict[str, Any]:
    metadata = record.card["metadata"]
    kept = ("asset_id", "name", "description", "project_id", "creator_id", "created_at")
    return {
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "entity": record.card["entity"][metadata["asset_type"]],
    }
