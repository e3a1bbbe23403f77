"""A mirror with assets that were used, a pocket Collibra, and the target between them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from sandbox.collibra.backend import PASSWORD, USERNAME, PocketCollibra, serve
from service.changes import AssetSaved, Change, ConnectionDetails, Container, Rank, UsageObserved, Version
from service.errors import TargetUnavailable
from service.mirror import controls, writer
from service.mirror.usage.window import last_window
from service.settings.model import Settings, TargetSettings
from service.targets.collibra import Collibra, batches
from service.text.documents import document

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

LOCATORS = {"db2": {"type": "DB2", "product": "Db2 LUW", "keys": ["{database}", "{schema}", "{name}"]}}
#: Nothing waits for midnight, and jobs are looked at as often as there are turns.
OPTIONS = {"locators": LOCATORS, "delay": 0, "poll": 0.001, "timeout_s": 5}


@dataclass
class World:
    """All of it."""

    mirror: Mirror
    pocket: PocketCollibra
    url: str
    target: Collibra
    others: list[Collibra] = field(default_factory=list)

    def another(self, url: str | None = None, **settings: Any) -> Collibra:
        """A target as of another replica, or with other settings."""
        made = make_target(url or self.url, **settings)
        made.attach(self.mirror.store)
        self.others.append(made)
        return made

    async def use(self, asset_id: str, *users: str | None, days_ago: int = 1) -> None:
        """Somebody uses an asset, once each, some days before the end of the window."""
        await self._used([(asset_id, user) for user in users], days_ago)

    async def use_each(self, asset_ids: Sequence[str], user: str) -> None:
        """Somebody uses each of these, once."""
        await self._used([(asset_id, user) for asset_id in asset_ids], 1)

    async def _used(self, uses: Sequence[tuple[str, str | None]], days_ago: int) -> None:
        end = last_window(datetime.now(UTC), self.target._zone, 0).end
        at_us = round((end - timedelta(days=days_ago)).timestamp() * 1_000_000)
        facts = [UsageObserved(uuid4().hex, asset_id, at_us, "import", user) for asset_id, user in uses]
        async with self.mirror.store.write() as connection:
            await writer.write_facts(connection, facts)

    def lies(self, asset_id: str, path: str | None, link: str | None = "k1", **more: Any) -> Change:
        """An asset whose data lies there."""
        place = more.pop("container", Container("catalog", "c1"))
        version = Version(time.time_ns() // 1000, Rank.READ)
        return AssetSaved(asset_id, version, document({}), place, connection_id=link, connection_path=path, **more)

    async def asset(self, asset_id: str, path: str | None, link: str | None = "k1", **more: Any) -> None:
        await self.apply(self.lies(asset_id, path, link, **more))

    async def age(self, column: str, seconds: float) -> None:
        """So much time has passed since what a column of the ledger says."""
        earlier = {
            "postgresql": f"{column} - interval '{seconds} seconds'",
            "sqlite": f"strftime('%Y-%m-%dT%H:%M:%f', {column}, '-{seconds} seconds') || '000Z'",
        }[self.mirror.store.dialect]
        await self.mirror.execute(f"UPDATE collibra_batches SET {column} = {earlier}")

    async def apply(self, *changes: Change) -> None:
        async with self.mirror.store.write() as connection:
            await writer.apply(connection, enumerate(changes))

    async def run(self, target: Collibra | None = None) -> list[str]:
        """Turns until there is nothing more to do at once; what could not be reached is told, not raised."""
        problems: list[str] = []
        for _ in range(20):
            try:
                if not await (target or self.target).tend():
                    return problems
            except TargetUnavailable as error:
                problems.append(str(error))
                if len(problems) > 2:
                    return problems
        raise AssertionError("it never comes to rest")

    async def begin_anew(self) -> None:
        """Nothing was ever used, planned or told; the assets are there."""
        self.pocket.submissions.clear()
        self.pocket.jobs.clear()
        await self.mirror.clear()
        async with self.mirror.store.write() as connection:
            await controls.ensure_targets(connection, ["collibra"])
        await self.apply(*self.assets())

    def assets(self) -> list[Change]:
        """A connection, and two assets behind it."""
        link = ConnectionDetails("db2", None, "db.example.com", None, "SHOP")
        first = AssetSaved("k1", Version(1, Rank.READ), document({}), connection=link)
        return [first, self.lies("orders", "/SALES/ORDERS"), self.lies("customers", "/SALES/CUSTOMERS")]

    async def next_day(self) -> None:
        """What was planned was planned yesterday: the window that is over now is another one."""
        async with self.mirror.store.write() as connection:
            name = batches.window_mark("collibra")
            known = await controls.read_controls(connection)
            if name not in known:
                return
            mark, _ = known[name]
            earlier = datetime.fromisoformat(mark["end"]) - timedelta(days=1)
            await controls.set_control(connection, name, {**mark, "end": earlier.isoformat()})

    async def states(self) -> list[str]:
        return [
            row[0] for row in await self.mirror.all("SELECT state FROM collibra_batches ORDER BY prepared_at, number")
        ]

    def told(self) -> list[dict[str, Any]]:
        """All items of all submissions, in their order."""
        return [item for submission in self.pocket.submissions for item in submission]

    def counts(self) -> list[tuple[str, int, int | None]]:
        """Name, count and users of each item that was told."""
        return [(i["assetLocator"]["keys"][-1], i["queryCount"], i.get("distinctUsers")) for i in self.told()]


def make_target(url: str, **more: Any) -> Collibra:
    options = {**OPTIONS, **more.pop("options", {})}
    chosen: dict[str, Any] = {"username": USERNAME, "password": SecretStr(PASSWORD), "options": options, **more}
    made = Collibra.create("collibra", Settings(targets={"collibra": TargetSettings(url=url, **chosen)}))
    assert made is not None
    return made


@pytest.fixture
async def world(mirror: Mirror) -> AsyncIterator[World]:
    pocket = PocketCollibra()
    async with serve(pocket) as url:
        made = World(mirror, pocket, url, make_target(url))
        made.target.attach(mirror.store)
        async with mirror.store.write() as connection:
            await controls.ensure_targets(connection, ["collibra"])
        await made.apply(*made.assets())
        yield made
        for target in (made.target, *made.others):
            await target.close()
