"""dbt as a reader of the mirror: the source that `catalog-mirror docs dbt` prints, and how fresh it is."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.fixtures import Rows
from tests.neighbours.environments import Environment

PROFILE = """
mirror:
  target: dev
  outputs:
    dev: {type: postgres, host: %s, port: %d, user: %s, password: none, dbname: %s, schema: public, threads: 4}
"""
PROJECT = """
name: reader
profile: mirror
flags: {send_anonymous_usage_stats: false}
"""


@pytest.fixture
async def reader(
    tmp_path: Path,
    postgres_url: str,
    pocket_settings: dict[str, str],
    run_command: Callable[..., Awaitable[str]],
    installed: Callable[[str], Environment],
    tried: Callable[[str], None],
) -> Callable[..., Awaitable[str]]:
    """`reader("source", "freshness", expect=1)` runs dbt on a mirror that has just read a catalog."""
    await run_command("snapshot", STORE__URL=postgres_url, **pocket_settings)
    dbt = installed("dbt")
    tried(dbt.version("dbt-core"))
    url = sa.engine.make_url(postgres_url)
    (tmp_path / "profiles.yml").write_text(PROFILE % (url.host, url.port, url.username, url.database), "utf-8")
    (tmp_path / "dbt_project.yml").write_text(PROJECT, "utf-8")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sources.yml").write_text(await run_command("docs", "dbt"), "utf-8")

    async def run(*words: str, expect: int = 0) -> str:
        return await dbt.run("dbt", *words, "--profiles-dir", ".", cwd=tmp_path, expect=expect)

    return run


@pytest.mark.neighbour("dbt", "the mirror as a source: parse, tests, freshness")
async def test_a_fresh_mirror_passes_and_a_stale_one_fails(
    reader: Callable[..., Awaitable[str]], tmp_path: Path, postgres_url: str, rows_of: Callable[[str], Rows]
) -> None:
    await reader("parse", "--warn-error")
    await reader("test")
    await reader("source", "freshness")
    fresh = json.loads((tmp_path / "target" / "sources.json").read_text("utf-8"))["results"]
    assert len(fresh) > 30
    assert {one["status"] for one in fresh} == {"pass"}

    # One container of one kind that nobody has looked at for two days.
    await rows_of(postgres_url).execute(
        "UPDATE sync_states SET complete_as_of = complete_as_of - interval '2 days' WHERE ctid ="
        " (SELECT ctid FROM sync_states WHERE kind = 'member' LIMIT 1)"
    )
    await reader("source", "freshness", expect=1)
    stale = json.loads((tmp_path / "target" / "sources.json").read_text("utf-8"))["results"]
    assert [one["unique_id"] for one in stale if one["status"] == "error"] == [
        "source.reader.catalog_mirror.v1_members"
    ]
    assert {one["status"] for one in stale} == {"pass", "error"}

    # Where no catalog is read nobody knows how fresh anything is.
    await rows_of(postgres_url).execute("DELETE FROM sync_states")
    await reader("source", "freshness", "--select", "source:catalog_mirror.v1_assets", expect=1)
    [unknown] = json.loads((tmp_path / "target" / "sources.json").read_text("utf-8"))["results"]
    assert unknown["status"] == "error"
