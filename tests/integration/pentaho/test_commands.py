"""Each of the fourteen operations by hand, the list of jobs, and links from a file."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from sandbox.pentaho.bodies import BODIES
from sandbox.pentaho.server import PASSWORD, USERNAME
from service.cli import app
from service.errors import MirrorError
from service.targets.pentaho.operations import OPERATIONS

if TYPE_CHECKING:
    from sandbox.pentaho.server import PocketPentaho

Command = Callable[..., Awaitable[Result]]
DATA_SOURCE, RULE = "65f0aa11bb22cc33dd44ee55", "65f0aa11bb22cc33dd44ee56"
ENTITY, COLLECTION = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"

#: What a person types, and the body that Pentaho gets.
BY_HAND: dict[str, tuple[list[str], dict[str, Any]]] = {
    "test-connection": (
        ["--data-source", DATA_SOURCE],
        {"resourceId": DATA_SOURCE, "host": "db", "password": "open-sesame", "fqdnId": "9"},
    ),
    "remove-datasource": (["--data-source", DATA_SOURCE, "--yes"], {"id": DATA_SOURCE, "fqdnId": "9"}),
    "metadata-ingest": (
        ["--connection", "k", "--body", '{"schemaNames": ["s"]}'],
        {"resourceId": DATA_SOURCE, "host": "db", "password": "open-sesame", "fqdnId": "9", "schemaNames": ["s"]},
    ),
    "metadata-re-ingest": (["--asset", "a1"], {"scope": [ENTITY]}),
    "data-profiling": (
        ["--scope", ENTITY, "--body", '{"configs": {"profileThreads": 1}}'],
        {"scope": [ENTITY], "configs": {"profileThreads": 1}},
    ),
    "data-discovery": (["--scope", ENTITY], {"scope": [ENTITY]}),
    "data-identification": (
        ["--scope", ENTITY, "--body", '{"dictionaryIds": ["1297eywu"]}'],
        {"scope": [ENTITY], "dictionaryIds": ["1297eywu"]},
    ),
    "collection-profiling": (["--collection", COLLECTION], {"collectionId": COLLECTION}),
    "collection-aggregation": (["--list", "l1"], {"collectionId": COLLECTION}),
    "business-rule": (["--rule", RULE], {"ruleId": [RULE]}),
    "business-rule-with-row-counter": (
        ["--rule", RULE, "--scope", ENTITY], {"ruleId": [RULE], "scope": [ENTITY]},
    ),
    "usage-statistics": (
        ["--scope", ENTITY, "--from", "2026-05-01", "--to", "2026-05-31"],
        {"scope": [ENTITY], "configs": {"startDate": "2026-05-01", "endDate": "2026-05-31"}},
    ),
    "pii-detection": (
        ["--scope", ENTITY, "--body", '{"configs": {"language": "JAPANESE"}}'],
        {"scope": [ENTITY], "configs": {"language": "JAPANESE"}},
    ),
}  # fmt: skip
LINKS = f"""kind,catalog_id,pentaho_id,fqdn_id,scope
asset,a1,{ENTITY},,
connection,k,{DATA_SOURCE},9,
list,l1,{COLLECTION},,
"""


@pytest.fixture
def command(pocket: PocketPentaho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs `catalog-mirror …` against the pocket Pentaho."""
    secret_file = tmp_path / "secret.yaml"
    secret_file.write_text("password: open-sesame\n")
    options = {"poll": 0.05, "data_sources": {DATA_SOURCE: {"host": "db", "secret_file": str(secret_file)}}}
    settings = {
        "STORE__URL": f"sqlite:///{tmp_path / 'mirror.db'}", "TARGETS__PENTAHO__URL": pocket.url,
        "TARGETS__PENTAHO__USERNAME": USERNAME, "TARGETS__PENTAHO__PASSWORD": PASSWORD,
        "TARGETS__PENTAHO__OPTIONS": json.dumps(options),
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(f"CATALOG_MIRROR_{name}", value)
    handlers = list(logging.getLogger().handlers)

    async def run(*arguments: str, text: str | None = None) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, arguments, text)

    yield run
    # What the runner took for stderr is closed now; logging of later tests must not go there.
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()


async def test_every_operation_by_hand_sends_what_its_documents_ask_for(
    command: Command, pocket: PocketPentaho, tmp_path: Path
) -> None:
    assert {operation.command for operation in OPERATIONS.values()} == BY_HAND.keys()
    assert {operation.path for operation in OPERATIONS.values()} == BODIES.keys()
    assert (await command("links", "import", "-", text=LINKS)).exit_code == 0
    for name, (arguments, body) in BY_HAND.items():
        shown = await command("pentaho", name, *arguments, "--wait", "--json")
        assert shown.exit_code == 0, (name, shown.output, shown.exception)
        (row,) = json.loads(shown.stdout)
        assert (row["state"], row["status"]) == ("succeeded", "COMPLETED")
        assert pocket.taken[-1][1] == body, name
        assert "open-sesame" not in shown.output
        status = await command("pentaho", "job-status", row["pentaho_job_id"], "--json")
        assert json.loads(status.stdout)["status"] == "COMPLETED"
    listed = json.loads((await command("pentaho", "jobs", "list", "--json")).stdout)
    assert len(listed) == len(BY_HAND)
    assert "open-sesame" not in str(listed)
    assert b"open-sesame" not in b"".join(file.read_bytes() for file in tmp_path.glob("mirror.db*"))


async def test_a_dry_run_shows_the_body_without_its_secrets_and_sends_nothing(
    command: Command, pocket: PocketPentaho
) -> None:
    shown = await command("pentaho", "test-connection", "--data-source", DATA_SOURCE, "--dry-run")
    assert json.loads(shown.stdout)[0]["body"] == {"resourceId": DATA_SOURCE, "host": "db", "password": "***"}
    assert pocket.taken == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["data-profiling"], "needs --scope or --asset"),
        (["data-profiling", "--asset", "unknown"], "is not linked"),
        (["data-profiling", "--scope", "x", "--body", "{"], "no JSON object"),
        (["data-profiling", "--scope", ENTITY, "--body", '{"confs": {}}'], "confs"),
        (["business-rule-with-row-counter", "--rule", "x"], "scope"),
        (["remove-datasource", "--data-source", "x"], "would be deleted"),
        (["remove-datasource", "--data-source", "x", "--yes"], "fqdnId"),
        (["metadata-ingest", "--data-source", "x", "--body", '{"password": "p"}'], "would be stored"),
        (["data-profiling", "--scope", "no-uuid"], "it is no UUID"),
        (["metadata-ingest", "--data-source", "x", "--body", '{"hots": "db"}'], "host is meant"),
        (["job-status", "unknown"], "Job not found"),
        (["data-profiling", "--scope", "x", "--target", "other"], "no Pentaho called 'other'"),
    ],
)
async def test_what_cannot_be_asked_for_is_told(
    command: Command, pocket: PocketPentaho, arguments: list[str], says: str
) -> None:
    shown = await command("pentaho", *arguments)
    assert shown.exit_code != 0
    if says:
        assert isinstance(shown.exception, MirrorError)
        assert says in str(shown.exception)
    assert pocket.taken == []


async def test_a_job_that_fails_ends_waiting_with_exit_1_and_one_can_be_forgotten(
    command: Command, pocket: PocketPentaho
) -> None:
    pocket.words = ["RUNNING", "Failed"]
    assert (await command("pentaho", "data-profiling", "--scope", ENTITY, "--wait")).exit_code == 1
    pocket.words = ["RUNNING"]
    (row,) = json.loads((await command("pentaho", "data-profiling", "--scope", ENTITY, "--json")).stdout)
    assert row["state"] == "running"
    assert (await command("pentaho", "jobs", "forget", row["job_key"][:12])).exit_code == 0
    (shown,) = json.loads((await command("pentaho", "jobs", "show", row["pentaho_job_id"])).stdout)
    assert (shown["state"], shown["request"]) == ("lost", {"scope": [ENTITY]})


async def test_links_are_imported_as_a_whole_listed_checked_exported_and_removed(
    command: Command, tmp_path: Path
) -> None:
    assert "Nothing is linked" in (await command("links", "list")).output
    bad = await command("links", "import", "-", text=LINKS + "asset,,x,,\n")
    assert "line 5" in str(bad.exception)
    assert json.loads((await command("links", "list", "--json")).stdout) == []
    dry = await command("links", "import", "-", "--dry-run", "--json", text=LINKS)
    assert json.loads(dry.stdout)["added"] == 3
    assert json.loads((await command("links", "list", "--json")).stdout) == []
    await command("links", "import", "-", text=LINKS)

    exported = tmp_path / "links.yaml"
    exported.write_text((await command("links", "export", "--format", "yaml")).stdout)
    again = await command("links", "import", str(exported), "--replace", "--json")
    assert json.loads(again.stdout) == {"dry_run": False, "added": 0, "changed": 0, "unchanged": 3, "removed": 0}

    found = json.loads((await command("links", "check", "--json")).stdout)
    assert {(one["problem"], one["kind"]) for one in found} == {
        ("not in the mirror", "asset"), ("not in the mirror", "connection"), ("not in the mirror", "list"),
    }  # fmt: skip
    assert (await command("links", "check", "--strict")).exit_code == 1
    assert (await command("links", "remove", "asset", "a1")).exit_code == 0
    assert (await command("links", "remove", "asset", "a1")).exit_code == 1
    replaced = await command("links", "import", "-", "--replace", "--json", text=LINKS.replace(ENTITY, COLLECTION))
    assert json.loads(replaced.stdout) == {"dry_run": False, "added": 1, "changed": 0, "unchanged": 2, "removed": 0}
