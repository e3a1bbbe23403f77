"""The demo's second chapter: a whole catalog read over REST, without any broker, with what goes wrong on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from pydantic import SecretStr

from sandbox.catalog import access
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.server import serve
from sandbox.catalog.shapes import CLEAR_SECRET
from sandbox.pentaho.server import PASSWORD, USERNAME, PocketPentaho
from sandbox.pentaho.server import serve as serve_pentaho
from service.cli.common import acting, out, show_table
from service.errors import RunFailed
from service.mirror.progress import RECONCILE
from service.mirror.store import Store
from service.operations.runs import watched
from service.process.app import Service
from service.settings.model import CatalogSettings, Settings, SyncSettings, TargetSettings
from service.sync.sweep import Options
from service.targets.pentaho import links
from service.targets.pentaho.links import Link

ASSETS = 200
#: Seconds that a step may take to show.
PATIENCE_S = 40.0
#: Assets that somebody deletes at once: more than a tenth of the catalog.
MANY = 30
Check = Callable[[str], Awaitable[Any]]


def settings_of(demo: Settings, url: str, pentaho_url: str) -> Settings:
    """The demo's settings, for a service that reads, and tells Pentaho."""
    catalog = CatalogSettings(url=url, iam_url=url, api_key=SecretStr(access.API_KEY), calls_per_minute=100_000)
    options = {"settle": 1, "poll": 0.2}
    told = TargetSettings(url=pentaho_url, username=USERNAME, password=SecretStr(PASSWORD), options=options)
    return demo.model_copy(update={"catalog": catalog, "sync": SyncSettings(poll_s=0.3), "targets": {"pentaho": told}})


async def tell(demo: Settings, path: Path, running: Any, fail: Callable[[str], Exception]) -> None:
    """Tell the chapter; what does not come out as it should is raised as `fail` words it."""
    catalog = PocketCatalog(seed=7, assets=ASSETS)
    out.print("\nNow the catalog itself, over REST and without a broker: a pocket one that answers as documented.\n")
    pentaho = PocketPentaho()
    async with (
        serve(catalog) as url,
        serve_pentaho(pentaho) as pentaho_url,
        running(settings_of(demo, url, pentaho_url)) as service,
    ):
        story = _Story(catalog, service, fail)
        await story.snapshot()
        await story.changes()
        await story.pentaho(pentaho)
        await story.lost_role()
        await story.mass_deletion()
        story.no_secret(path)


class _Story:
    def __init__(self, catalog: PocketCatalog, service: Service, fail: Callable[[str], Exception]) -> None:
        self._catalog = catalog
        self._store: Store = service.store
        self._fail = fail
        self._where = catalog.container_ids("catalog")[0]

    async def snapshot(self) -> None:
        """The first run reads everything by itself."""
        await self._until("SELECT count(*) FROM sync_runs WHERE state = 'done'", 1)
        rows = await self._all(
            "SELECT kind, sum(things), max(complete_as_of) FROM v1_freshness GROUP BY kind ORDER BY 2 DESC, 1"
        )
        told = [(kind, things, str(moment)[11:19]) for kind, things, moment in rows]
        show_table("Read by the first snapshot (v1_freshness)", ("kind", "things", "complete as of"), told, "")
        if await self._one("SELECT count(*) FROM v1_assets WHERE NOT is_stub") < ASSETS - MANY:
            raise self._fail("the snapshot did not read every asset")

    async def changes(self) -> None:
        """What users do is found by polling; no event tells of it."""
        asset_id = self._catalog.create_asset(self._where, "Budget 2027")
        _said("somebody makes an asset: no event tells of it, polling finds it")
        await self._until("SELECT count(*) FROM v1_assets WHERE asset_id = :id", 1, id=asset_id)
        self._catalog.patch_asset(asset_id, name="Budget 2027 final")
        _said("… renames it")
        await self._until("SELECT name FROM v1_assets WHERE asset_id = :id", "Budget 2027 final", id=asset_id)
        self._catalog.delete_asset(asset_id)
        _said("… and deletes it")
        await self._until("SELECT count(*) FROM v1_assets WHERE asset_id = :id", 0, id=asset_id)
        await self._told_back(asset_id)

    async def _told_back(self, asset_id: str) -> None:
        """Lineage went back over REST."""
        deadline = time.monotonic() + PATIENCE_S
        while not any(asset_id in str(event) for event in self._catalog.received_lineage()):
            if time.monotonic() > deadline:
                raise self._fail("no lineage of the new asset came back over REST")
            await asyncio.sleep(0.1)
        out.print(f"  ← {len(self._catalog.received_lineage())} lineage events came back over REST", style="green")

    async def pentaho(self, pocket: PocketPentaho) -> None:
        """Changes of what is linked become one job at Pentaho."""
        asset_id, entity = self._catalog.create_asset(self._where, "Invoices"), str(uuid4())
        await self._until("SELECT count(*) FROM v1_assets WHERE asset_id = :id", 1, id=asset_id)
        async with self._store.write() as connection:
            await links.store(connection, "pentaho", [Link("asset", asset_id, entity)], replace=False)
        for name in ("Invoices 2026", "Invoices 2027"):
            self._catalog.patch_asset(asset_id, name=name)
        _said("an asset is linked to an entity at Pentaho, and renamed twice: that becomes one job there")
        await self._until("SELECT count(*) FROM pentaho_jobs WHERE state = 'succeeded'", 1)
        if pocket.taken != [("metadata/re-ingest", {"scope": [entity]})]:
            raise self._fail(f"Pentaho was asked for {pocket.taken}")
        out.print("  ← Pentaho took one job (metadata/re-ingest), and has done it", style="green", markup=False)

    async def lost_role(self) -> None:
        """A role that was taken away deletes nothing."""
        before = await self._one("SELECT count(*) FROM v1_assets")
        self._catalog.set_caller_role(self._where, None)
        _said("our role in a catalog is taken away; a reconcile deletes nothing for that")
        await self._reconcile(Options(deletions=True))
        if await self._one("SELECT count(*) FROM v1_assets") != before:
            raise self._fail("assets vanished with the role")
        self._catalog.set_caller_role(self._where, "viewer")

    async def mass_deletion(self) -> None:
        """Much deleted at once waits for a person."""
        shown = await self._all(
            "SELECT asset_id FROM v1_assets WHERE container_id = :place AND NOT is_stub LIMIT :many",
            place=self._where, many=MANY,
        )  # fmt: skip
        for (asset_id,) in shown:
            self._catalog.delete_asset(asset_id, purge=True)
        _said(f"somebody purges {len(shown)} assets at once: the reconcile deletes none of them and asks")
        try:
            await self._reconcile(Options(deletions=True))
        except RunFailed as error:
            out.print(f"    {error}", style="yellow", markup=False, soft_wrap=True)
        else:
            raise self._fail("the brake on mass deletion did not hold")
        run = await self._reconcile(Options(deletions=True, accept_deletions=True))
        orphaned = run.progress["report"]["kinds"]["asset"]["orphaned"]
        out.print(f"    with --accept-deletions it deletes {orphaned}: what was purged, and what went with it")
        gone = ", ".join(f"'{asset_id}'" for (asset_id,) in shown)
        left = await self._one(f"SELECT count(*) FROM v1_assets WHERE asset_id IN ({gone})")  # noqa: S608 (our own ids)
        if left or orphaned < len(shown):
            raise self._fail(f"{left} of the purged assets are still shown")

    def no_secret(self, path: Path) -> None:
        """The catalog serves passwords in clear; none may be found afterwards."""
        files = [file for file in path.parent.iterdir() if CLEAR_SECRET.encode() in file.read_bytes()]
        if files:
            raise self._fail(f"a secret is in {files[0]}")
        out.print("  The catalog serves passwords in clear; none is in the mirror.")

    async def _reconcile(self, options: Options) -> Any:
        async def show(_: object) -> None:
            return

        return await watched(self._store, RECONCILE, options, acting(), show)

    async def _until(self, query: str, value: object, **parameters: object) -> None:
        deadline, found = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < deadline:
            found = await self._one(query, **parameters)
            if found == value:
                return
            await asyncio.sleep(0.1)
        raise self._fail(f"{query}: {found} instead of {value}")

    async def _all(self, query: str, **parameters: object) -> list[Any]:
        async with self._store.read() as connection:
            return list((await connection.execute(sa.text(query), parameters)).all())

    async def _one(self, query: str, **parameters: object) -> Any:
        rows = await self._all(query, **parameters)
        return rows[0][0] if rows else None


def _said(what: str) -> None:
    out.print(f"  → {what}", markup=False, soft_wrap=True)
