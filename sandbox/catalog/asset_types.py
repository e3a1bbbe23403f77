"""Asset types: what kinds of assets and attributes there are."""

from __future__ import annotations

from typing import Any

from sandbox.catalog.problems import bad_request, not_found

_BUILT_IN: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("data_asset", "A data set", {}),
    ("connection", "A connection to a data source", {}),
    ("folder_asset", "A folder behind a connection", {}),
    ("metadata_import", "A metadata import", {}),
    ("metadata_enrichment_area", "A metadata enrichment", {}),
    ("asset_terms", "Terms of an asset", {"attribute_only": True}),
    ("column_info", "What is known about columns", {"attribute_only": True}),
    ("data_profile", "Profiles of a data set", {}),
    ("discovered_asset", "Where a discovered asset came from", {"attribute_only": True}),
)
_CUSTOM: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("book", "A book", {"properties": {"price": {"type": "number", "description": "What it costs"}}}),
    ("review_state", "Where a review stands", {"attribute_behavior": {"remove_on_copy": True}, "attribute_only": True}),
    ("column_attribute", "Where a column comes from", {"is_column_custom_attribute": True, "attribute_only": True}),
    (
        "column_level_custom_attribute",
        "Other properties of columns",
        {"is_column_custom_attribute": True, "attribute_only": True, "decorates": [{"asset_type_name": "data_asset"}]},
    ),
)


class AssetTypes:
    """The types of all containers; custom ones belong to the account."""

    def __init__(self) -> None:
        self._built_in = {name: _make(name, text, more) for name, text, more in _BUILT_IN}
        self._custom: dict[str, dict[str, Any]] = {name: _make(name, text, more) for name, text, more in _CUSTOM}

    def all(self) -> list[dict[str, Any]]:
        """Built-in ones first."""
        return [*self._built_in.values(), *self._custom.values()]

    def names(self) -> set[str]:
        """Names of all types."""
        return self._built_in.keys() | self._custom.keys()

    def custom_names(self) -> list[str]:
        """Types that may be deleted."""
        return list(self._custom)

    def require(self, name: str) -> None:
        """Raises Problem 404 where the type does not exist; `asset` stands for all."""
        if name != "asset" and name not in self.names():
            raise not_found("asset type", name)

    def create(self, name: str, description: str = "", **more: Any) -> None:
        """Add a type, or replace a custom one; further keywords go into its definition."""
        if name in self._built_in:
            raise bad_request(f"The asset type {name} is built in.")
        version = self._custom[name]["version"] + 1 if name in self._custom else 1
        self._custom[name] = _make(name, description, {"version": version, **more})

    def remove(self, name: str) -> None:
        """Remove a custom type; `removal.Removal.delete_asset_type` also does the clean-up."""
        if name not in self._custom:
            raise bad_request(f"The asset type {name} does not exist or is built in.")
        del self._custom[name]

    def lost_on_copy(self) -> set[str]:
        """Attributes that a copy does not get."""
        return {one["name"] for one in self.all() if one.get("attribute_behavior", {}).get("remove_on_copy")}


def _make(name: str, description: str, more: dict[str, Any]) -> dict[str, Any]:
    field = {"key": "name", "type": "string", "facet": False, "is_array": False, "search_path": "name"}
    return {"name": name, "description": description, "version": 1, "fields": [field], "relationships": [], **more}
