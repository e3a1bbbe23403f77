"""Releases under load: rolling restarts, a schema that is upgraded, a release that is taken back, a build of before."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from pydantic import SecretStr

from benchmarks import builds
from benchmarks.errors import BenchFailed
from sandbox import chart
from sandbox.parts.mirror import MirrorProcess
from sandbox.tools import ToolMissing
from service.mirror import schema
from service.mirror.store import Store
from service.settings.model import StoreSettings

EVENTS = 2400
Event = Callable[..., tuple[str, bytes]]


@pytest.fixture
async def load(catalog: Any, profile_event: Event) -> AsyncIterator[asyncio.Task[None]]:
    """Events for some seconds, so that whatever is done meets some in flight."""

    async def publish() -> None:
        for start in range(0, EVENTS, 80):
            await catalog.publish([profile_event(number, at_s=number) for number in range(start, start + 80)])
            await asyncio.sleep(0.2)

    await catalog.bind_mirror_queue()
    publishing = asyncio.create_task(publish())
    yield publishing
    publishing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await publishing


async def assert_nothing_lost(rows: Any, catalog: Any) -> None:
    await rows.until("SELECT count(*) FROM data_profiles", EVENTS)
    await rows.until("SELECT count(*) FROM deliveries", 0)
    assert await rows.one("SELECT count(*) FROM dead_letters") == 0
    own = {row[0] for row in await rows.all("SELECT event_id FROM lineage_events WHERE own")}
    assert len(own) == EVENTS
    assert set(await catalog.came_back()) == own


@pytest.fixture
def timings(do_without: Callable[[Exception], NoReturn]) -> tuple[str, float]:
    """The chart's own: what the service gets to drain, and when Kubernetes would kill it after SIGTERM."""
    try:
        manifests = chart.render(chart.VALUE_SETS["openshift"])
    except ToolMissing as missing:
        do_without(missing)
    pod = chart.pods_of(manifests)["Deployment cm-catalog-mirror"]
    [container] = pod["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    slept = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    return environment["CATALOG_MIRROR_PIPELINE__DRAIN_S"], pod["terminationGracePeriodSeconds"] - slept


@pytest.mark.timeout(240)
async def test_a_rolling_restart_with_the_timings_of_the_chart_loses_nothing(
    timings: tuple[str, float],
    load: asyncio.Task[None],
    catalog: Any,
    amqp_url: str,
    postgres_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    drain_s, killed_after_s = timings

    def replica() -> MirrorProcess:
        return mirror_process(AMQP__URL=amqp_url, STORE__URL=postgres_url, PIPELINE__DRAIN_S=drain_s)

    async with contextlib.AsyncExitStack() as running:
        old = [await running.enter_async_context(replica()) for _ in range(2)]
        for one in old:
            await one.wait_ready()
        for one in old:  # maxSurge 1, maxUnavailable 0: first a new one that is ready, then an old one goes
            new = await running.enter_async_context(replica())
            await new.wait_ready()
            began = time.monotonic()
            assert await one.terminate() == 0
            assert time.monotonic() - began < killed_after_s
        await load
        await assert_nothing_lost(rows_of(postgres_url), catalog)


async def _upgrade_to(url: str, revision: str) -> None:
    store = Store(StoreSettings(url=SecretStr(url)))

    def run(connection: sa.Connection) -> None:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async with store.write() as connection:
        await connection.run_sync(run)
    await store.close()


@pytest.mark.timeout(240)
async def test_a_schema_is_upgraded_and_a_release_taken_back_under_load(
    load: asyncio.Task[None],
    catalog: Any,
    amqp_url: str,
    empty_postgres_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    run_command: Callable[..., Any],
) -> None:
    before = ScriptDirectory.from_config(schema._config()).get_revision("head").down_revision
    assert isinstance(before, str)
    await _upgrade_to(empty_postgres_url, before)
    settings = {"AMQP__URL": amqp_url, "STORE__URL": empty_postgres_url, "STORE__MIGRATE": "false"}
    async with contextlib.AsyncExitStack() as running:
        new = await running.enter_async_context(mirror_process(**settings))
        await new.wait_for(lambda status, body: status == 503 and before in str(body["reasons"]))
        assert f"(was {before})" in await run_command("db", "upgrade", STORE__URL=empty_postgres_url)
        await new.wait_ready()  # by itself
        rows = rows_of(empty_postgres_url)

        # A release after this one expands the schema, while this one is at work …
        async with rows.store.write() as connection:
            await connection.execute(sa.text("ALTER TABLE data_profiles ADD COLUMN of_a_later_release text"))
            await connection.execute(sa.text("CREATE TABLE of_a_later_release (id text PRIMARY KEY)"))
            await connection.execute(sa.text("UPDATE alembic_version SET version_num = '0199'"))
        # … and is taken back: this one starts on the later schema, and leaves it alone.
        back = await running.enter_async_context(mirror_process(**settings))
        await back.wait_ready()
        assert await new.terminate() == 0
        assert "schema 0199" in await run_command("db", "upgrade", STORE__URL=empty_postgres_url)
        await load
        await assert_nothing_lost(rows, catalog)
        assert await back.terminate() == 0


@pytest.fixture
def build_before(do_without: Callable[[Exception], NoReturn]) -> Iterator[builds.Build]:
    """The newest code that knew fewer migrations, and those all of ours; run whole from a worktree of its commit."""
    try:
        with contextlib.ExitStack() as stack:
            yield stack.enter_context(builds.before(_commit_before()))
    except BenchFailed as missing:  # a copy without history, or without the packages of then
        do_without(missing)


def _commit_before() -> str:
    chain = [Path(one.path) for one in ScriptDirectory.from_config(schema._config()).walk_revisions()][::-1]
    place = str(chain[0].parent.relative_to(builds.ROOT))
    for commit in _git("log", "--format=%H", "--full-history", "HEAD", "--", place):
        there = [Path(name).name for name in _git("ls-tree", "--name-only", commit, f"{place}/")]
        known = sorted(name for name in there if name[:4].isdecimal())
        if len(known) < len(chain) and known == [path.name for path in chain[: len(known)]]:
            return commit
    raise BenchFailed(f"there is no history of {place}")


def _git(*words: str) -> list[str]:
    done = subprocess.run(("git", "-C", str(builds.ROOT), *words), capture_output=True, text=True, check=False)
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_replicas_of_the_build_before_and_of_this_one_share_the_work_there_and_back(
    build_before: builds.Build,
    load: asyncio.Task[None],
    catalog: Any,
    amqp_url: str,
    empty_postgres_url: str,
    tmp_path: Path,
    rows_of: Callable[..., Any],
) -> None:
    """Both write the same rows at once, on the schema of then and on that of now; then the old ones have it back."""
    settings: dict[str, Any] = {"AMQP__URL": amqp_url, "STORE__URL": empty_postgres_url}
    old_command = build_before.command("service", "run")

    async with contextlib.AsyncExitStack() as running:

        async def start(name: str, **how: Any) -> MirrorProcess:
            process = await running.enter_async_context(MirrorProcess(tmp_path / f"{name}.log", **how, **settings))
            await process.wait_ready()
            return process

        old = [await start(f"old{number}", command=old_command) for number in range(2)]
        rows = rows_of(empty_postgres_url)
        was = await rows.one("SELECT version_num FROM alembic_version")
        new = await start("new")  # which brings the schema up to date under the old ones
        assert await rows.one("SELECT version_num FROM alembic_version") > was
        assert await old[0].terminate() == 0
        back = await start("back", command=old_command)
        assert await new.terminate() == 0
        await load
        await assert_nothing_lost(rows, catalog)
        assert [await one.terminate() for one in (old[1], back)] == [0, 0]
