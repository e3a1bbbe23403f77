"""A mirror whose relay imports assets into a pocket Collibra."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import yaml
from pydantic import SecretStr

from sandbox.collibra.backend import PASSWORD, USERNAME, PocketCollibra, serve
from sandbox.collibra.imports import CONTAINS, PART_OF, REPRESENTS, Asset, PocketImports
from service.changes import AssetColumn, AssetDeleted, AssetSaved, Change, Container, Rank, ThingSaved, Version
from service.kinds import KINDS
from service.mirror import controls, deliveries, writer
from service.settings.model import RelaySettings, Settings, TargetSettings
from service.targets.collibra_assets import CollibraAssets
from service.targets.relay import Relay
from service.telemetry.metrics import Metrics
from service.text.documents import document

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

PATIENCE_S = 30.0
NAME, SYSTEM = "collibra_assets", "catalog-mirror"
#: What of the catalog is what in the pocket.
MAPPING: dict[str, Any] = {
    "domains": {"c1": {"name": "Shop data", "community": "Shop"}},
    "assets": {
        "data_asset": {
            "type": "Table", "status": "Candidate", "name": "{name}",
            "attributes": {"Description": "description", "Location": "connection_path"},
            "relations": [{"type": CONTAINS, "direction": "SOURCE", "to": "connection"}],
        },
        "connection": {"type": "Database", "status": "Candidate"},
    },
    "columns": {
        "type": "Column", "status": "Candidate", "name": "{asset_name} > {name}", "display_name": "{name}",
        "attributes": {"Technical Data Type": "native_type", "Column Position": "position"},
        "relations": [{"type": PART_OF, "direction": "TARGET", "to": "asset"}],
    },
    "artifacts": {
        "glossary_term": {
            "type": "Business Term", "status": "Accepted", "domain": {"name": "Shop glossary", "community": "Shop"},
            "attributes": {"Definition": "long_description"},
        },
    },
}  # fmt: skip


def _naming() -> dict[str, Any]:
    terms = {"type": REPRESENTS, "direction": "SOURCE", "to": "terms"}
    table, columns = MAPPING["assets"]["data_asset"], MAPPING["columns"]
    more = {"relations": [terms], "tags": "tags", "responsibilities": {"Owner": "owner_id"}}
    return MAPPING | {
        "assets": {"data_asset": table | more},
        "columns": columns | {"relations": [*columns["relations"], terms]},
        "people": {"IBMid-ann": {"user": PocketCollibra().imports.types["users"]["Ann"]}},
    }


@dataclass
class World:
    """All of it."""

    mirror: Mirror
    collibra: PocketCollibra
    url: str
    folder: Path
    metrics: Metrics = field(default_factory=Metrics)
    #: What of the catalog is what in the pocket; and the same where what is gone is marked.
    mapping: dict[str, Any] = field(default_factory=lambda: MAPPING)
    marking: dict[str, Any] = field(default_factory=lambda: MAPPING | {"deleted": {"status": "Obsolete"}})
    #: The same with terms, tags, and who owns what.
    naming: dict[str, Any] = field(default_factory=lambda: _naming())
    clock: Any = field(default_factory=lambda: itertools.count(1_700_000_000_000_000, 1_000_000))

    @property
    def pocket(self) -> PocketImports:
        """Its imports."""
        return self.collibra.imports

    def target(self, mapping: dict[str, Any] | None = None, lease_s: float = 60, **options: Any) -> CollibraAssets:
        """The target, quick."""
        file = self.folder / "mapping.yaml"
        file.write_text(yaml.safe_dump(MAPPING if mapping is None else mapping))
        quick = {"mapping_file": str(file), "poll": 0.01, "timeout_s": 5, **options}
        chosen = TargetSettings(url=self.url, username=USERNAME, password=SecretStr(PASSWORD), options=quick)
        made = CollibraAssets.create(NAME, Settings(targets={NAME: chosen}, relay=RelaySettings(lease_s=lease_s)))
        assert made is not None
        made.attach(self.mirror.store)
        made.metrics = self.metrics
        return made

    def at(self) -> Version:
        """The next moment, of a state like no other."""
        return Version(next(self.clock), Rank.EVENT, uuid4().bytes, uuid4().bytes)

    def asset(self, asset_id: str = "a1", *columns: str, **more: Any) -> AssetSaved:
        """A table of the shop, with columns."""
        told: dict[str, Any] = {
            "name": asset_id.title(),
            "asset_type": "data_asset",
            "container": Container("catalog", "c1"),
        }
        made = tuple(AssetColumn(name, number, native_type="int") for number, name in enumerate(columns, 1))
        return AssetSaved(asset_id, self.at(), document({"at": next(self.clock)}), columns=made, **told | more)

    def gone(self, asset_id: str = "a1") -> AssetDeleted:
        """It was deleted in the catalog."""
        return AssetDeleted(asset_id, Version(next(self.clock), Rank.DELETED), Container("catalog", "c1"))

    def term(self, artifact_id: str = "t1", **more: Any) -> ThingSaved:
        """A term of the glossary."""
        values = KINDS["artifact"].row(artifact_type="glossary_term", **{"name": "Customer"} | more)
        return ThingSaved("artifact", artifact_id, self.at(), document({"at": next(self.clock)}), values)

    async def change(self, *changes: Change, target: CollibraAssets | None = None) -> None:
        """Changes that took effect, as the pipeline passes them on."""
        asked = target or self.target()
        async with self.mirror.store.write() as connection:
            applied = await writer.apply(connection, enumerate(changes))
            wanted = [change for _, change in applied.effective if asked.wants(change)]
            new = [deliveries.of_state(NAME, change) for change in wanted]
            await deliveries.create_in_turn(connection, new)

    @asynccontextmanager
    async def relay(self, target: CollibraAssets | None = None, **settings: Any) -> AsyncIterator[Relay]:
        """A relay at work."""
        chosen = RelaySettings(**{"poll_s": 0.03, "retry_max_s": 0.1, **settings})
        relay = Relay(self.mirror.store, [target or self.target()], chosen, self.metrics)
        task = asyncio.create_task(relay.run())
        try:
            yield relay
        finally:
            relay.stop()
            await task

    async def told(self, *changes: Change, target: CollibraAssets | None = None, **settings: Any) -> None:
        """Changes that take effect, and are delivered until nothing waits."""
        chosen = target or self.target()
        await self.change(*changes, target=chosen)
        async with self.relay(chosen, **settings):
            await self.until("SELECT count(*) FROM deliveries", 0)

    async def until(self, query: str, value: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while await self.mirror.one(query) != value:
                await asyncio.sleep(0.03)

    def there(self, external_id: str) -> Asset:
        """What Collibra has of a thing."""
        found = self.pocket.of(SYSTEM, external_id)
        assert found is not None, external_id
        return found

    def names(self) -> list[str]:
        """All names in Collibra."""
        return sorted(asset.name for asset in self.pocket.assets.values())


@pytest.fixture
async def world(mirror: Mirror, tmp_path: Path) -> AsyncIterator[World]:
    """A mirror and a pocket Collibra."""
    collibra = PocketCollibra()
    async with serve(collibra) as url:
        async with mirror.store.write() as connection:
            await controls.ensure_targets(connection, [NAME])
        yield World(mirror, collibra, url, tmp_path)
