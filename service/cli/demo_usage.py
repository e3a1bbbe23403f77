"""The demo's third chapter: who used what becomes popularity in Collibra, told once although an answer is lost."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from sandbox.collibra.backend import PASSWORD, USERNAME, PocketCollibra, serve
from service.cli.common import opened_store, out, show_table
from service.errors import TargetUnavailable
from service.mirror import controls
from service.mirror.store import Store
from service.mirror.usage.importing import Importer, read_lines
from service.mirror.usage.people import people_of
from service.settings.model import Settings, TargetSettings
from service.targets.collibra import Collibra

#: Who queried the two assets of the story, and how often.
QUERIES = (("ada", "ada", "bob"), ("ada",))
#: Seconds that the job may take.
PATIENCE_S = 20.0
Fail = Callable[[str], Exception]


async def tell(demo: Settings, fail: Fail) -> None:
    """Tell the chapter over a mirror that has assets; what comes out otherwise is raised, as `fail` words it."""
    pocket = PocketCollibra()
    out.print("\nWho used what, as a query log tells it, becomes popularity in a pocket Collibra.\n")
    async with serve(pocket) as url, opened_store(demo) as store:
        used = await _import(demo, store, fail)
        target = _target(url, pocket, used)
        target.attach(store)
        try:
            async with store.write() as connection:
                await controls.ensure_targets(connection, [target.name])
            pocket.knobs.lost = 1
            await _until_completed(target, store, fail)
        finally:
            await target.close()
    _check(pocket, used, fail)


async def _import(demo: Settings, store: Store, fail: Fail) -> list[Any]:
    """A log about two assets whose data lies somewhere, named by its path."""
    query = sa.text(
        "SELECT a.name, a.connection_path, c.datasource_type FROM v1_assets a "
        "JOIN connections c ON c.asset_id = a.connection_id WHERE c.datasource_type IS NOT NULL "
        "AND a.connection_path IN (SELECT connection_path FROM assets GROUP BY connection_path HAVING count(*) = 1) "
        "ORDER BY a.connection_path LIMIT 2"
    )
    async with store.read() as connection:
        used = list(await connection.execute(query))
    when = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    lines = [
        {"who": who, "what": asset.connection_path, "when": when, "id": f"{asset.name}-{place}"}
        for asset, users in zip(used, QUERIES, strict=True)
        for place, who in enumerate(users)
    ]
    log = io.BytesIO("".join(json.dumps(line) + "\n" for line in lines).encode())
    people = await people_of(store, demo.usage, demo.pipeline.principals)
    taken = await Importer(store, people, demo.retention.usage_s, dry_run=False).take(list(read_lines(log)))
    if taken.bad or taken.counts["new"] != len(lines):
        raise fail(f"the query log was not taken: {taken}")
    out.print(f"  → {len(lines)} queries of ada and bob are imported; only hashes of their names are kept")
    return used


def _target(url: str, pocket: PocketCollibra, used: list[Any]) -> Collibra:
    rule = {"type": "DB2", "keys": ["{segments}"]}
    options = {
        "locators": {used[0].datasource_type: rule}, "delay": 0, "poll": 0.05, "created_by": pocket.user_id(),
    }  # fmt: skip
    chosen = TargetSettings(url=url, username=USERNAME, password=SecretStr(PASSWORD), options=options)
    made = Collibra.create("collibra", Settings(targets={"collibra": chosen}))
    if made is None:
        raise AssertionError("it has a URL, so it is on")
    return made


async def _until_completed(target: Collibra, store: Store, fail: Fail) -> None:
    """Turns, as the relay gives them, until the job has ended; the answer to the submission is lost on the way."""
    deadline, seen = time.monotonic() + PATIENCE_S, ""
    while seen != "completed":
        if time.monotonic() > deadline:
            raise fail(f"the batch is {seen or 'not there'} after {PATIENCE_S:.0f} s")
        try:
            await target.tend()
        except TargetUnavailable:
            out.print("    the answer is lost: it is not sent again, its job is looked for", style="yellow")
        async with store.read() as connection:
            state = (await connection.execute(sa.text("SELECT state FROM collibra_batches"))).scalar_one_or_none()
        if state not in (None, seen):
            out.print(f"  ← the batch is {state}", style="green")
            seen = state


def _check(pocket: PocketCollibra, used: list[Any], fail: Fail) -> None:
    """What Collibra got, once, is what the log says."""
    items = [item for submission in pocket.submissions for item in submission]
    rows = [("/".join(item["assetLocator"]["keys"]), item["queryCount"], item["distinctUsers"]) for item in items]
    show_table("What Collibra was told, once", ("asset", "queryCount", "distinctUsers"), rows, "")
    expected = {
        asset.connection_path.rpartition("/")[2]: (len(users), len(set(users)))
        for asset, users in zip(used, QUERIES, strict=True)
    }
    found = {name.rpartition("/")[2]: (count, users) for name, count, users in rows}
    if len(pocket.submissions) != 1 or found != expected:
        raise fail(f"Collibra was told {found} in {len(pocket.submissions)} submissions instead of {expected} in one")
