"""Nothing is removed in Collibra by itself: a person sees what would be, and accepts it; much waits for more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from sandbox.collibra.backend import PASSWORD, USERNAME
from service.operations import collibra_assets as operations
from service.operations.acting import Act, Way
from service.operations.collibra_assets import TooManyDeletions
from service.settings.model import Settings, TargetSettings

if TYPE_CHECKING:
    from tests.integration.collibra_assets.conftest import World

NAME = "collibra_assets"
ACT = Act("somebody", Way.COMMAND, "they are gone")


def settings_of(world: World) -> Settings:
    options = {"mapping_file": str(world.folder / "mapping.yaml"), "timeout_s": 5}
    chosen = TargetSettings(url=world.url, username=USERNAME, password=SecretStr(PASSWORD), options=options)
    return Settings(targets={NAME: chosen})


async def test_what_is_gone_is_listed_and_removed_only_when_a_person_accepts_it(world: World) -> None:
    await world.told(world.asset("a1", "id"), world.asset("a2", "id/of two", "name"))
    await world.told(world.gone("a1"), world.asset("a2", "name"))
    settings, store = settings_of(world), world.mirror.store

    listed = await operations.deletions(store, settings, NAME)
    assert [one.external_id for one in listed.orphans] == ["a1", "a1/id", "a2/id/of two"]
    assert (listed.all, len(world.pocket.assets)) == (5, 5)

    done = await operations.remove(store, settings, NAME, ACT)
    assert done.removed == 3
    assert world.names() == ["A2", "A2 > name"]
    assert sorted(entity for _, entity in world.pocket.mappings) == ["a2", "a2/name"]
    assert (await operations.deletions(store, settings, NAME)).orphans == ()
    (detail,) = [row[0] for row in await world.mirror.all("SELECT detail FROM audit_log")]
    assert "a1/id" in json.dumps(detail)

    await world.told(world.asset("a1", "id"))
    assert world.names() == ["A1", "A1 > id", "A2", "A2 > name"]


async def test_a_large_part_of_all_waits_for_a_person_who_says_so(world: World) -> None:
    assets = [world.asset(f"a{number}") for number in range(30)]
    await world.told(*assets)
    await world.told(*(world.gone(f"a{number}") for number in range(20)))
    settings, store = settings_of(world), world.mirror.store

    with pytest.raises(TooManyDeletions, match="20 of the 30"):
        await operations.remove(store, settings, NAME, ACT)
    assert len(world.pocket.assets) == 30

    assert (await operations.remove(store, settings, NAME, ACT, beyond_brake=True)).removed == 20
    assert len(world.pocket.assets) == 10


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_what_somebody_removed_there_before_is_gone_without_an_error(world: World) -> None:
    await world.told(world.asset("a1"), world.asset("a2"))
    await world.told(world.gone("a1"), world.gone("a2"))
    there = world.there("a1")
    del world.pocket.assets[there.asset_id]
    world.pocket.mappings[("catalog-mirror", "a1")] = None

    assert (await operations.remove(world.mirror.store, settings_of(world), NAME, ACT)).removed == 2
    assert world.pocket.mappings == {}


async def test_the_command_lists_first_and_says_what_removes(world: World, store_url: str, run_command: Any) -> None:
    await world.told(world.asset("a1"))
    await world.told(world.gone("a1"))
    chosen = {
        "STORE__URL": store_url, "TARGETS__COLLIBRA_ASSETS__URL": world.url,
        "TARGETS__COLLIBRA_ASSETS__USERNAME": USERNAME, "TARGETS__COLLIBRA_ASSETS__PASSWORD": PASSWORD,
        "TARGETS__COLLIBRA_ASSETS__OPTIONS": json.dumps({"mapping_file": str(world.folder / "mapping.yaml")}),
    }  # fmt: skip
    assert "--accept-deletions" in await run_command("collibra", "deletions", **chosen)
    assert len(world.pocket.assets) == 1
    told = json.loads(await run_command("collibra", "deletions", "--accept-deletions", "--json", **chosen))
    assert (told["removed"], world.pocket.assets) == (1, {})
