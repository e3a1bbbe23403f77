"""Nothing that somebody put into a name is obeyed by a terminal: every command that shows texts from outside."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import typer
from hypothesis import given
from hypothesis import strategies as st

from service.changes import Rank, Version
from service.cli import app
from service.mirror.tables import UtcTime, metadata
from service.text.visible import visible, visible_json

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

Opened = Callable[..., AbstractAsyncContextManager["Mirror"]]

#: Sets the title, clears the screen, rings, goes back, is C1's own way to begin a sequence, turns the line round.
HOSTILE = "a\x1b]0;owned\x07\x1b[2J\x08\x0d\x7f\x9b31m\u202eb"
#: What may stand in what is shown: lines, and the sequences by which Rich sets colours and weights.
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

#: What is asked of each command that shows texts from outside; the hostile text is its own id, too.
SHOWN: dict[str, list[list[str]]] = {
    "status": [[], ["--json"]],
    "audit": [[], ["--json"]],
    "lineage names": [[HOSTILE], [HOSTILE, HOSTILE], [f"x/{HOSTILE}", "--json"]],
    "lineage show": [
        [HOSTILE], [HOSTILE, "--json"], [HOSTILE, "--format", "mermaid"], [HOSTILE, "--format", "dot", "--names"],
        [HOSTILE, "--column", HOSTILE], [HOSTILE, "--column", HOSTILE, "--format", "mermaid"],
        [HOSTILE, "--column", HOSTILE, "--format", "dot"], [HOSTILE, "--column", HOSTILE, "--impact"],
        [HOSTILE, "--column", "nothing"], ["nobody" + HOSTILE],
    ],
    "dead-letters list": [[], ["--json"]],
    "dead-letters show": [[HOSTILE], [HOSTILE, "--json"]],
    "deliveries list": [[], ["--json"]],
    "targets list": [[], ["--json"]],
    "links list": [[], ["--json"]],
    "pentaho jobs list": [[], ["--json"]],
    "pentaho jobs show": [[HOSTILE]],
    "usage status": [[], ["--json"]],
    "usage batches": [[], ["--json"]],
    "usage show": [[HOSTILE]],
    "doctor": [[]],
    "explain": [[HOSTILE], [HOSTILE, "--json"]],
    "privacy report": [[HOSTILE], [HOSTILE, "--json"]],
    "contract report": [[], ["--json"]],
    "as-of": [["2030-01-01T00:00:00Z", "SELECT name FROM v1_assets"]],
}  # fmt: skip
#: Commands that show nothing that came from outside but what the others show, too, or the caller's own words; what
#: `links export` writes into a file is as it is.
UNLIKE = {
    "run", "demo", "pause", "resume", "snapshot", "reconcile", "refresh", "replay", "capture", "dead-letters edit",
    "dead-letters replay", "dead-letters discard", "deliveries release", "deliveries retry", "targets pause",
    "targets resume", "targets plan", "targets backfill", "links import", "links remove", "links check",
    "topology show", "topology apply", "usage import", "usage locators", "usage settle", "usage replan", "db upgrade",
    "mirror rebuild", "scope purge", "links export", "mcp", "contract learn", "contract accept", "privacy forget",
    "db reader", "db partition", "attest", "rehearse", "collibra deletions",
}  # fmt: skip


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """All commands, as one types them."""
    if not hasattr(command, "list_commands"):
        yield " ".join(path)
        return
    context = typer.Context(command)
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), (*path, name))


def test_every_command_is_walked_or_said_to_show_nothing() -> None:
    every = {name for name in commands(typer.main.get_command(app)) if not name.startswith("docs ")}
    every -= {name for name in every if name.startswith("pentaho ") and not name.startswith("pentaho jobs ")}
    assert every - {"pentaho jobs forget"} == SHOWN.keys() | UNLIKE


#: Columns that hold words of ours, or JSON that we write; the hostile text stands inside the JSON.
_OURS: dict[tuple[str, str], str] = {
    ("dead_letters", "kind"): "event", ("dead_letters", "state"): "open", ("dead_letters", "headers"): "{}",
    ("lineage_edges", "role"): "uses", ("sync_runs", "state"): "running", ("sync_runs", "mode"): "snapshot",
    ("sync_runs", "options"): "{}", ("sync_runs", "progress"): "{}", ("refreshes", "origin"): "live",
    ("collibra_batches", "state"): "uncertain", ("collibra_batches", "body"): "[]",
    ("collibra_batches", "assets"): "[]",
    ("collibra_batches", "report"): "{}", ("pentaho_jobs", "state"): "failed", ("pentaho_jobs", "request"): "{}",
    ("links", "kind"): "asset", ("links", "scope"): "[]", ("replicas", "status"): "{}", ("audit_log", "detail"): "{}",
    ("containers", "kind"): "catalog", ("data_profiles", "figures"): "[]", ("profile_documents", "figures"): "[]",
    ("profile_runs", "figures"): "[]",
    ("links", "target"): "pentaho", ("pentaho_jobs", "target"): "pentaho", ("pentaho_jobs", "follows"): "",
    ("pentaho_jobs", "operation"): "metadata_ingest",
    ("controls", "value"): json.dumps({"reason": HOSTILE, "by": HOSTILE}),
}  # fmt: skip
_NOW = datetime(2026, 5, 10, 15, 4, tzinfo=UTC)


async def fill(mirror: Mirror) -> None:
    """One row in every table, with the hostile text in every column that holds texts."""
    async with mirror.store.write() as connection:
        for table in metadata.tables.values():
            row = {column.name: _value(table.name, column) for column in table.c}
            await connection.execute(sa.insert(table).values(**row))


def _value(table: str, column: sa.Column[Any]) -> Any:
    if isinstance(column.type, sa.Text):
        told = HOSTILE if column.name != "document" else json.dumps({"name": HOSTILE})
        return _OURS.get((table, column.name), told)
    if isinstance(column.type, UtcTime):
        return None if column.nullable and column.name in ("deleted_at", "closed_at", "finished_at") else _NOW
    if isinstance(column.type, sa.Boolean):
        return False
    if column.name in ("version", "replaces"):  # what we make of a moment; nobody outside writes it
        return Version(1, Rank.EVENT).key
    return HOSTILE.encode() if isinstance(column.type, sa.LargeBinary) else 1


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings with a target that has links and jobs."""
    path = tmp_path / "config.yaml"
    targets = "targets: {pentaho: {url: http://127.0.0.1:9, username: u, password: p}}"
    path.write_text(f"{targets}\nretention: {{history: 9000d}}\n", encoding="utf-8")
    return path


async def test_no_command_lets_a_terminal_obey_what_somebody_put_into_a_name(
    sqlite_url: str, opened: Opened, run_command: Callable[..., Awaitable[str]], config: Path
) -> None:
    async with opened(sqlite_url) as mirror:
        await fill(mirror)
    shown: dict[str, str] = {}
    for name, ways in SHOWN.items():
        for arguments in ways:
            told = await run_command(*name.split(), *arguments, expect=None, CONFIG=str(config), STORE__URL=sqlite_url)
            assert "Traceback" not in told, (name, arguments, told)
            assert not _OBEYED.findall(told), (name, arguments, told)
            if "--json" in arguments:
                json.loads(told)
            shown[name] = shown.get(name, "") + told
    assert {name for name, told in shown.items() if "owned" not in told} == set(), "all of them have it, and show it"


@pytest.mark.parametrize(
    "arguments",
    [["lineage", HOSTILE], ["lineage", "x" + HOSTILE], ["dead-letters", "list"], ["audit"], ["links", "export"]],
)
async def test_on_a_terminal_only_our_own_styles_are_obeyed(
    arguments: list[str], sqlite_url: str, opened: Opened, config: Path
) -> None:
    async with opened(sqlite_url) as mirror:
        await fill(mirror)
    told = await asyncio.to_thread(
        on_a_terminal, arguments, {"CATALOG_MIRROR_STORE__URL": sqlite_url, "CATALOG_MIRROR_CONFIG": str(config)}
    )

    assert "owned" in told
    assert not _OBEYED.findall(_STYLE.sub("", told.replace("\r\n", "\n")))


def on_a_terminal(arguments: list[str], settings: dict[str, str]) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, **settings, "TERM": "xterm-256color", "COLUMNS": "400"}
    process = subprocess.Popen(
        [sys.executable, "-m", "service", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    told = b""
    try:
        while piece := os.read(ours, 65536):
            told += piece
    except OSError:  # Linux's way to say that the other end is closed
        pass
    finally:
        os.close(ours)
        process.wait(30)
    return told.decode()


@pytest.mark.parametrize("shape", ["console", "json"])
def test_log_lines_show_what_they_are_told(shape: str) -> None:
    code = (
        "import logging, sys, structlog\n"
        "from service.settings.model import LogSettings\n"
        "from service.telemetry.logs import configure_logging\n"
        "configure_logging(LogSettings(format=sys.argv[1]))\n"
        "structlog.get_logger('x').warning('told' + sys.argv[2], name=sys.argv[2], names=[sys.argv[2]])\n"
        "logging.getLogger('y').warning('told %s', sys.argv[2])\n"
        "try: raise ValueError(sys.argv[2])\n"
        "except ValueError: structlog.get_logger('z').exception('broke')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, shape, HOSTILE], capture_output=True, text=True, check=True)

    assert ran.stderr.count("owned") >= 5
    assert not _OBEYED.findall(_STYLE.sub("", ran.stderr))


@given(st.text())
def test_what_is_made_visible_is_the_same_text_for_who_reads_json(text: str) -> None:
    written = visible_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(written) == text
    assert not _OBEYED.findall(written)
    assert not _OBEYED.findall(visible(text))
    assert visible(text) == text or _OBEYED.search(text)
