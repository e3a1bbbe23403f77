"""Assets come into a pocket Collibra, change there, and are removed there when a person says so."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import yaml
from pydantic import SecretStr

from sandbox.collibra.backend import PASSWORD, USERNAME, PocketCollibra, serve
from sandbox.collibra.imports import PART_OF, PocketImports
from sandbox.story import Step
from service.cli.common import out
from service.cli.stories import Stage, came, said, take
from service.operations import collibra_assets as operations
from service.operations.acting import Act, Way
from service.settings.model import TargetSettings

#: Seconds that an import may take.
PATIENCE_S = 20.0
TARGET = "collibra_assets"
#: `Shop data` of `Shop`, and these types, are there in the pocket.
MAPPING: dict[str, Any] = {
    "domains": {"*": {"name": "Shop data", "community": "Shop"}},
    "assets": {"data_asset": {"type": "Table", "attributes": {"Description": "description"}, "tags": "tags"}},
    "columns": {
        "type": "Column", "name": "{asset_name} > {name}",
        "relations": [{"type": PART_OF, "direction": "TARGET", "to": "asset"}],
    },
}  # fmt: skip


def _asset(shows: str, second: int, name: str, what: str = "PATCH") -> Step:
    state = {
        "metadata": {"asset_id": "orders", "asset_type": "data_asset", "name": name, "tags": ["gold"]},
        "entity": {"data_asset": {"columns": [{"name": "id"}, {"name": "amount"}]}},
    }
    body = {"published": f"2026-05-10T15:04:{second:02}Z", "details": {"catalog_id": "c1", "asset_id": "orders"}}
    told = body if what == "DELETE" else body | {"state": state}
    return Step(shows, f"v2.data_assets.orders.{what}", json.dumps(told).encode())


async def tell(stage: Stage) -> None:
    """A table comes with its columns, is renamed, and deleted; it goes there last, and only when accepted."""
    out.print("\nAssets into Collibra by its Import API, as a mapping file says.\n")
    path = stage.folder / "mapping.yaml"
    path.write_text(yaml.safe_dump(MAPPING))
    collibra = PocketCollibra()
    async with serve(collibra) as url:
        options = {"mapping_file": str(path), "poll": 0.1}
        told = TargetSettings(url=url, username=USERNAME, password=SecretStr(PASSWORD), options=options)
        settings = stage.settings.model_copy(update={"targets": {TARGET: told}})
        pocket = collibra.imports
        async with stage.running(settings) as service:
            for step, names in (
                (
                    _asset("a table with two columns", 15, "Orders", "POST"),
                    ["Orders", "Orders > amount", "Orders > id"],
                ),
                (_asset("is renamed", 20, "Sales"), ["Sales", "Sales > amount", "Sales > id"]),
            ):
                await take(settings, service.store, [step])
                await _until(stage, pocket, names)
                came(f"Collibra has {', '.join(_names(pocket))}")
            await take(settings, service.store, [_asset("is deleted", 30, "", "DELETE")])
            listed = await operations.deletions(service.store, settings, TARGET)
            if len(listed.orphans) != 3 or len(pocket.assets) != 3:
                raise stage.fail(f"{len(listed.orphans)} are listed as gone, and Collibra has {_names(pocket)}")
            came("nothing is deleted there: `collibra deletions` lists 3, and waits for a person")
            said("a person says --accept-deletions")
            act = Act("demo", Way.COMMAND, "agreed")
            done = await operations.remove(service.store, settings, TARGET, act, beyond_brake=True)
    if done.removed != 3 or pocket.assets:
        raise stage.fail(f"{done.removed} were removed, and Collibra has {_names(pocket)}")
    came("Collibra has removed them")


async def _until(stage: Stage, pocket: PocketImports, names: list[str]) -> None:
    """Until Collibra has these and no others."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while _names(pocket) != names:
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise stage.fail(f"Collibra has {_names(pocket)}") from None


def _names(pocket: PocketImports) -> list[str]:
    return sorted(asset.name for asset in pocket.assets.values())
