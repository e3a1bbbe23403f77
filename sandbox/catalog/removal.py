"""Deleting, with what follows from it: the trash, purging, restoring, and clean-up in the background."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sandbox.catalog.asset_types import AssetTypes
from sandbox.catalog.assets import Assets, Life
from sandbox.catalog.clock import Clock
from sandbox.catalog.editing import Editing
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.problems import Problem, bad_request
from sandbox.catalog.relationships import Relationships

#: Assets in one bulk call.
BULK_LIMIT = 20
_CLEANER = "iam-ServiceId-0000-cleanup"


class Background:
    """Work that is done later, on the catalog's clock."""

    def __init__(self, clock: Clock, knobs: Knobs) -> None:
        self._clock, self._knobs = clock, knobs
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()

    def later(self, work: Callable[[], None]) -> None:
        """Do this when its time has come."""
        self._waiting.append((self._clock.now() + self._knobs.background_delay_s, work))

    def catch_up(self) -> None:
        """Do what is due."""
        while self._waiting and self._waiting[0][0] <= self._clock.now():
            self._waiting.popleft()[1]()


class Removal:
    """Deleting and bringing back."""

    def __init__(
        self, assets: Assets, editing: Editing, relationships: Relationships, types: AssetTypes, background: Background
    ) -> None:
        self._assets, self._editing, self._relationships = assets, editing, relationships
        self._types, self._background = types, background

    def delete(self, asset_id: str, *, purge: bool = False) -> list[str]:
        """Put an asset into the trash, or purge it at once; answers all that went, relationships take more along."""
        self._assets.live(asset_id)
        gone: list[str] = []
        waiting = [asset_id]
        while waiting:
            one = waiting.pop()
            record = self._assets.find(one)
            if record is None or record.life is not Life.LIVE:
                continue
            waiting += self._relationships.targets(one, on="delete")
            self._assets.move(record, Life.PURGED if purge else Life.TRASHED)
            gone.append(one)
        return gone

    def bulk_delete(self, asset_ids: list[str], *, purge: bool = False) -> dict[str, int]:
        """Delete up to 20; a status for each, 204 or 404."""
        if not 1 <= len(asset_ids) <= BULK_LIMIT:
            raise bad_request(f"Between 1 and {BULK_LIMIT} ids, not {len(asset_ids)}.")
        statuses = {}
        for asset_id in asset_ids:
            try:
                self.delete(asset_id, purge=purge)
                statuses[asset_id] = 204
            except Problem as problem:
                statuses[asset_id] = problem.status
        return statuses

    def purge(self, asset_id: str) -> None:
        """Remove a trashed asset for ever."""
        self._assets.move(self._assets.trashed(asset_id), Life.PURGED)

    def purge_all(self, container_id: str) -> int:
        """Empty a container's trash; how many went."""
        trash = self._assets.trash_of(container_id)
        for record in trash:
            self._assets.move(record, Life.PURGED)
        return len(trash)

    def restore(self, asset_id: str) -> None:
        """Bring an asset back from the trash, with its id."""
        self._assets.move(self._assets.trashed(asset_id), Life.LIVE)

    def delete_asset_type(self, name: str) -> None:
        """Remove a custom type; in the background its assets go, and the attribute leaves other assets."""
        self._types.remove(name)
        self._background.later(lambda: self._clean_up(name))

    def _clean_up(self, name: str) -> None:
        for record in list(self._assets.carrying(name)):
            if record.card["metadata"]["asset_type"] == name:
                self.delete(record.asset_id)
            elif name in record.card["entity"]:
                self._editing.edit(record.asset_id, lambda card: card["entity"].pop(name), by=_CLEANER)
