"""Usage by hand: logs taken in, what would be told, what is missing, and a batch in doubt that a person settles."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.collibra.backend import PASSWORD, USERNAME, PocketCollibra, serve
from service.changes import AssetSaved, ConnectionDetails, Rank, Version
from service.errors import TargetUnavailable
from service.mirror import controls, schema, writer
from service.settings.model import Settings, TargetSettings
from service.targets.collibra import Collibra
from service.text.documents import document

LOCATORS = {"postgresql": {"type": "PostgreSQL", "keys": ["{database}", "{segments}"]}}
SALT = "a-salt-that-nobody-may-see"
#: Runs commands one after the other in one process, which starts quicker than many; tells exit codes and outputs.
DRIVER = """
import json, sys
from typer.testing import CliRunner
from service.cli import app
from service.errors import ConfigurationError, MirrorError
told = []
for arguments in json.loads(sys.argv[1]):
    result = CliRunner().invoke(app, arguments, prog_name="catalog-mirror")
    error, code, text = result.exception, result.exit_code, result.output
    if isinstance(error, MirrorError):
        code, text = 2 if isinstance(error, ConfigurationError) else 1, f"{text}{error} {error.advice()}"
    elif error is not None and not isinstance(error, SystemExit):
        raise error
    told.append([code, text])
print(json.dumps(told))
"""


async def run(settings: dict[str, str], *commands: str) -> list[tuple[int, str]]:
    """Exit code and output of each command."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CATALOG_MIRROR_")}
    environment |= {f"CATALOG_MIRROR_{name}": value for name, value in settings.items()} | {"COLUMNS": "300"}
    arguments = json.dumps([command.split() for command in commands])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DRIVER, arguments, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return [(code, text) for code, text in json.loads(output)]


def ago(days: float) -> str:
    return datetime.fromtimestamp(time.time() - days * 86_400, UTC).isoformat()


@pytest.fixture
async def store(sqlite_url: str, rows_of: Callable[[str], Any]) -> Any:
    """A store with two assets, one of which can be located."""
    rows = rows_of(sqlite_url)
    await schema.upgrade(rows.store)
    version = Version(1, Rank.READ)
    link = ConnectionDetails("PostgreSQL", None, "db.example.com", None, "shop")
    changes = [
        AssetSaved("k1", version, document({}), connection=link),
        AssetSaved("a1", version, document({}), connection_id="k1", connection_path="/sales/orders"),
        AssetSaved("a2", version, document({}), name="A notebook"),
    ]
    async with rows.store.write() as connection:
        await writer.apply(connection, enumerate(changes))
        await controls.ensure_targets(connection, ["collibra"])
    return rows


def settings_of(sqlite_url: str, url: str, **options: Any) -> dict[str, str]:
    return {
        "STORE__URL": sqlite_url, "USAGE__SALT": SALT, "TARGETS__COLLIBRA__URL": url,
        "TARGETS__COLLIBRA__USERNAME": USERNAME, "TARGETS__COLLIBRA__PASSWORD": PASSWORD,
        "TARGETS__COLLIBRA__OPTIONS": json.dumps({"locators": LOCATORS, "delay": 0, **options}),
    }  # fmt: skip


async def _turns(store: Any, settings: dict[str, str], number: int) -> None:
    """So many turns of the target, as the service would give them."""
    options = json.loads(settings["TARGETS__COLLIBRA__OPTIONS"])
    chosen: Any = {"username": USERNAME, "password": PASSWORD, "options": {**options, "poll": 0.001}}
    target = Collibra.create(
        "collibra", Settings(targets={"collibra": TargetSettings(url=settings["TARGETS__COLLIBRA__URL"], **chosen)})
    )
    assert target is not None
    target.attach(store.store)
    try:
        for _ in range(number):
            await target.tend()
    finally:
        await target.close()


async def test_from_a_query_log_to_a_job_with_every_step_in_view(store: Any, sqlite_url: str, tmp_path: Path) -> None:
    log = tmp_path / "queries.ndjson"
    lines = [
        {"who": "ada", "what": "/sales/orders", "when": ago(2)}, {"who": "bob", "what": "a1", "when": ago(3)},
        {"who": "ada", "what": "a2", "when": ago(2)}, {"who": "ada", "what": "nowhere", "when": ago(2)},
    ]  # fmt: skip
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    pocket = PocketCollibra()
    async with serve(pocket) as url:
        settings = settings_of(sqlite_url, url)
        before = await run(
            settings, f"usage import {log} --dry-run", f"usage import {log} --json", f"usage import {log} --strict",
            "usage import nothing.ndjson", "usage locators --json", "usage locators", "targets plan collibra --json",
            "targets plan collibra", "usage replan",
        )  # fmt: skip
        await _turns(store, settings, 4)
        after = await run(settings, "usage status --json", "usage status", "usage batches --json", "usage batches")
        (batch,) = json.loads(after[2][1])
        after += await run(settings, f"usage show {batch['batch_id'][:6]}", "usage replan --all")
        await _turns(store, settings, 3)

    assert [code for code, _ in before] == [0, 0, 1, 2, 0, 0, 0, 0, 1]
    said = [text for _, text in before]
    assert "3 new, 0 known, 0 too old, 1 bad" in said[0]
    assert "queries.ndjson:4: no asset" in said[0]
    assert "Nothing was written." in said[0]
    imported = json.loads(said[1])
    assert [imported[key] for key in ("new", "known", "too_old", "bad")] == [3, 0, 0, 1]
    assert imported["lines"][0]["line"] == 4
    assert "0 new, 3 known" in said[2]
    assert [(one["asset_id"], one["uses"]) for one in json.loads(said[4])["unlocated"]] == [("a2", 1)]
    assert "it has no connection" in said[5]
    assert [one["body"] for one in json.loads(said[6])] == pocket.submissions[:1]
    assert "without a locator: 1 assets" in said[7]
    assert "No window was planned" in said[8]
    (item,) = pocket.submissions[0]
    assert (item["assetLocator"]["keys"], item["queryCount"]) == (["shop", "sales", "orders"], 2)

    assert [code for code, _ in after] == [0] * 6
    status = json.loads(after[0][1])
    assert status["batches"] == [{"target": "collibra", "state": "completed", "batches": 1}]
    assert status["planned"]["collibra"]["unlocated"] == 1
    assert [(one["source"], one["facts"]) for one in status["facts"]] == [("import", 3)]
    assert "1 without locator" in after[1][1]
    assert "completed" in after[3][1]
    shown = json.loads(after[4][1])
    assert (shown["report"], shown["body"]) == ({"processed": 1}, pocket.submissions[0])
    assert pocket.submissions[1] == pocket.submissions[0], "a person asked for all of it"
    text = "".join(text for _, text in (*before, *after))
    text += "".join(path.read_bytes().decode("latin-1") for path in tmp_path.glob("mirror.db*"))
    assert [secret for secret in (PASSWORD, SALT, '"ada"') if secret in text] == []


async def test_a_batch_in_doubt_is_listed_shown_and_settled_by_a_person(store: Any, sqlite_url: str) -> None:
    pocket = PocketCollibra()
    async with serve(pocket) as url:
        settings = settings_of(sqlite_url, url)
        await store.execute(
            "INSERT INTO usage_facts (fact_id, asset_id, occurred_at, number, source, version, mirrored_at) "
            f"VALUES ('f', 'a1', '{ago(2)[:19]}.000000Z', 1, 'import', x'00', '{ago(0)[:19]}.000000Z')"
        )
        pocket.knobs.lost = 1
        with pytest.raises(TargetUnavailable, match="ServerDisconnected"):
            await _turns(store, settings, 3)
        name = str(await store.one("SELECT batch_id FROM collibra_batches"))
        told = await run(
            settings, "usage batches --state uncertain --json", "targets plan collibra", "usage replan",
            "usage show zzz", "usage batches --state lost", f"usage settle {name} --sent --job x",
            f"usage settle {name[:8]} --sent --job {next(iter(pocket.jobs))} --reason seen",
            f"usage settle {name} --not-sent",
        )  # fmt: skip
        await _turns(store, settings, 4)

    assert [code for code, _ in told] == [0, 0, 1, 1, 2, 2, 0, 1]
    assert [one["batch_id"] for one in json.loads(told[0][1])] == [name]
    words = ("", "in doubt", "told twice", "No batch begins", "There is no state", "UUID", "accepted", "not uncertain")
    assert [word for word, (_, text) in zip(words, told, strict=True) if word not in text] == []
    assert await store.one("SELECT state FROM collibra_batches") == "completed"
    assert await store.all("SELECT action, subject, reason FROM audit_log") == [("usage.settle", name, "seen")]
    assert len(pocket.submissions) == 1
