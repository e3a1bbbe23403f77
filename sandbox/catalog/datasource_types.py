"""Types of data sources: those that a catalog has from the beginning, and those that somebody defines."""

from __future__ import annotations

from typing import Any

from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.problems import not_found
from sandbox.catalog.shapes import DATASOURCE_TYPE

#: Names and labels of those that are always there, more than a page has; the first is that of generated connections.
_FURNISHED = (("db2", "IBM Db2"), ("postgresql", "PostgreSQL"), ("snowflake", "Snowflake"),
              *((f"source-{number}", f"Source {number}") for number in range(110)))  # fmt: skip


class DatasourceTypes:
    """All types; nothing on the broker tells of them."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._types: dict[str, dict[str, Any]] = {}
        for number, (name, label) in enumerate(_FURNISHED):
            self._add(DATASOURCE_TYPE if number == 0 else ids.new(Kind.DATASOURCE_TYPE), name, label, "IBM")

    def all(self) -> list[dict[str, Any]]:
        """Every type, as it is listed."""
        return list(self._types.values())

    def define(self, name: str, label: str) -> str:
        """Define a type; answers its id."""
        type_id = self._ids.new(Kind.DATASOURCE_TYPE)
        self._add(type_id, name, label, "IBMid-270000ANNA")
        return type_id

    def patch(self, type_id: str, label: str) -> None:
        """Call a type otherwise; raises Problem 404."""
        found = self._get(type_id)
        self._types[type_id] = {**found, "entity": {**found["entity"], "label": label}}

    def delete(self, type_id: str) -> None:
        """Delete a type, also where connections use it; raises Problem 404."""
        self._get(type_id)
        del self._types[type_id]

    def _get(self, type_id: str) -> dict[str, Any]:
        found = self._types.get(type_id)
        if found is None:
            raise not_found("data source type", type_id)
        return found

    def _add(self, type_id: str, name: str, label: str, creator: str) -> None:
        self._types[type_id] = {
            "metadata": {"asset_id": type_id, "asset_type": "datasource_type", "creator_id": creator},
            "entity": {
                "name": name, "label": label, "description": f"{label} database", "type": "database",
                "allowed_as_source": True, "allowed_as_target": len(name) % 2 == 0, "tags": [], "status": "active",
                "supported_environments": ["cloud", "local"],
            },
        }  # fmt: skip
