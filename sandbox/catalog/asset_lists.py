"""Asset lists, such as orders, and their items."""

from __future__ import annotations

from typing import Any

from sandbox.catalog.clock import Clock, iso_millis
from sandbox.catalog.containers import ACCOUNT, Container
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.problems import not_found

_OWNER = "IBMid-270000EVA"


class AssetLists:
    """All lists; nothing on the broker tells of them."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids, self._clock = ids, clock
        self._lists: dict[str, dict[str, Any]] = {}
        self._items: dict[str, dict[str, dict[str, Any]]] = {}

    def all(self) -> list[dict[str, Any]]:
        """Every list, in the order they were made."""
        return list(self._lists.values())

    def items(self, list_id: str) -> list[dict[str, Any]]:
        """The items of a list; raises Problem 404."""
        if list_id not in self._lists:
            raise not_found("asset list", list_id)
        return list(self._items[list_id].values())

    def create(self, name: str, list_type: str = "order") -> str:
        """Make a list; answers its id."""
        list_id = self._ids.new(Kind.ASSET_LIST)
        about = {"id": list_id, "name": name, "description": "", "type": list_type, "state": "default_state"}
        self._lists[list_id] = about | self._stamps()
        self._items[list_id] = {}
        return list_id

    def patch(self, list_id: str, **changes: str) -> None:
        """Change name, description, type or state."""
        self._lists[list_id] = self._lists[list_id] | changes | self._touched()

    def delete(self, list_id: str) -> None:
        """Remove a list with its items."""
        del self._lists[list_id], self._items[list_id]

    def add_item(self, list_id: str, asset_id: str, asset_type: str, container: Container) -> str:
        """Put an asset into a list; answers the item's id."""
        item_id = self._ids.new(Kind.ASSET_LIST)
        asset = {"id": asset_id, "type": asset_type, "container": {"id": container.id, "type": container.kind}}
        self._items[list_id][item_id] = {
            "id": item_id,
            "asset": asset,
            "properties": {},
            **self._stamps(),
            "asset_list": {"id": list_id},
        }
        return item_id

    def patch_item(self, list_id: str, item_id: str, **properties: Any) -> None:
        """Change an item's properties."""
        item = self._items[list_id][item_id]
        self._items[list_id][item_id] = item | {"properties": item["properties"] | properties} | self._touched()

    def remove_item(self, list_id: str, item_id: str) -> None:
        """Take an item out of a list."""
        del self._items[list_id][item_id]

    def _stamps(self) -> dict[str, Any]:
        access = {"owner": _OWNER, "bss_account_id": ACCOUNT}
        return {"access_control": access, "created_at": iso_millis(self._clock.now()), **self._touched()}

    def _touched(self) -> dict[str, Any]:
        return {"last_updated_at": iso_millis(self._clock.now()), "last_updated_by": _OWNER}
