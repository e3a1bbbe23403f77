"""Nothing is removed in Collibra by itself: a person sees what would be, and accepts it; much waits for more."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from pydantic import SecretStr, ValidationError

from sandbox.collibra.backend import PASSWORD, USERNAME
from service.http.access import Access
from service.http.admin import collibra
from service.http.admin.calls import Asked, Means
from service.http.console.app import Console
from service.http.probes import listening
from service.http.problems import in_shape
from service.mirror import writer
from service.operations import collibra_assets as operations
from service.operations.acting import Act, Way
from service.operations.collibra_assets import TooManyDeletions
from service.operations.work import Desk
from service.operations.work import read as work_of
from service.settings.model import HttpSettings, Settings, TargetSettings

if TYPE_CHECKING:
    from tests.integration.collibra_assets.conftest import World

NAME = "collibra_assets"
ACT = Act("somebody", Way.COMMAND, "they are gone")


def settings_of(world: World) -> Settings:
    options = {"mapping_file": str(world.folder / "mapping.yaml"), "timeout_s": 5}
    chosen = TargetSettings(url=world.url, username=USERNAME, password=SecretStr(PASSWORD), options=options)
    return Settings(targets={NAME: chosen})


@asynccontextmanager
async def _console(world: World) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """The console where actions are taken, and somebody who is signed in."""
    tokens = world.folder / "tokens.yaml"
    tokens.write_text(
        yaml.safe_dump({"operator": {"token": "operator-0123456789abcdef", "scopes": ["read", "operate"]}})
    )
    settings = settings_of(world).model_copy(update={"http": HttpSettings(host="127.0.0.1", tokens_file=tokens)})
    app = web.Application(middlewares=[in_shape])
    Console(settings, world.mirror.store, Access(settings.http), acts=True).add_to(app)
    jar = aiohttp.CookieJar(unsafe=True)
    async with listening(app, "127.0.0.1", 0, "") as port, aiohttp.ClientSession(cookie_jar=jar) as session:
        url = f"http://127.0.0.1:{port}"
        async with session.post(f"{url}/signin", data={"token": "operator-0123456789abcdef", "to": "/"}) as answer:
            assert answer.status == 200
        yield session, url


async def _text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        return await answer.text()


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


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_what_is_gone_is_listed_before_anybody_told_the_target(world: World) -> None:
    await world.told(world.asset("a1"), world.asset("a2"))
    async with world.mirror.store.write() as connection:
        await writer.apply(connection, [(0, world.gone("a1"))])

    listed = await operations.deletions(world.mirror.store, settings_of(world), NAME)
    assert ([one.external_id for one in listed.orphans], listed.all) == (["a1"], 2)


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


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_a_page_shows_them_and_removes_what_it_shows_and_much_needs_saying_twice(world: World) -> None:
    await world.told(*(world.asset(f"a{number}") for number in range(22)))
    await world.told(*(world.gone(f"a{number}") for number in range(21)))
    async with _console(world) as (session, url):
        page = f"{url}/collibra/{NAME}/deletions"
        told = await _text(session, page)
        assert "21 of the 22" in told
        assert "a large part of all" in told
        assert page.removeprefix(url) in await _text(session, f"{url}/targets/{NAME}")
        token = re.findall(r'name="form_token" value="([0-9a-f]+)"', told)[-1]
        async with session.post(page, data={"form_token": token}) as answer:
            assert "so none was" in await answer.text()
        assert len(world.pocket.assets) == 22
        form = {"form_token": token, "beyond_brake": "yes", "reason": "agreed"}
        async with session.post(page, data=form) as answer:
            assert "21 removed there" in await answer.text()
    assert world.names() == ["A21"]
    assert await world.mirror.all("SELECT who, reason FROM audit_log WHERE action = 'collibra.remove'") == [
        ("operator", "agreed")
    ]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_the_admin_api_lists_them_and_removes_them_as_work_that_tells_of_itself(world: World) -> None:
    await world.told(world.asset("a1"), world.asset("a2"))
    await world.told(world.gone("a1"))
    means = Means(settings_of(world), world.mirror.store, Desk(world.mirror.store))
    listing, removing = collibra.CALLS
    found = await listing.do(Asked(means, ACT, {"target": NAME}, listing.query(), listing.body()))
    assert ([one.external_id for one in found.orphans], found.number, found.all) == (["a1"], 1, 2)

    with pytest.raises(ValidationError):
        removing.body.model_validate({})
    accepted = removing.body.model_validate({"accept_deletions": True})
    begun = await removing.do(Asked(means, ACT, {"target": NAME}, removing.query(), accepted))
    async with asyncio.timeout(10):
        while (work := await work_of(world.mirror.store, begun.work_id)).state == "running":
            await asyncio.sleep(0.02)
    assert (work.state, work.told, world.names()) == ("done", {"removed": 1}, ["A2"])
