"""Events that kill the process, floods of bad ones, and who is blamed."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from sandbox.parts.mirror import MirrorProcess
from service.pipeline.pipeline import SUSPECT_LIMIT

#: A handler of somebody else's, which a certain event kills as a bug in native code would.
HANDLER = """
import os
import signal

from service.changes import Rank, ThingSaved, Version
from service.text.documents import document
from service.pipeline.routing import Evidence, handles


@handles("v2.deadly.*", evidence=Evidence.ASSUMED)
def deadly(event):
    if event.body.get("deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
    kept = document(event.body)
    yield ThingSaved("enrichment_area", event.words[2], Version(None, Rank.EVENT, kept.digest, kept.digest), kept)
"""


@pytest.fixture
def deadly_handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs the handler the way any package does: a module and an entry point."""
    (tmp_path / "deadly_handler.py").write_text(HANDLER)
    metadata = tmp_path / "deadly_handler-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly-handler\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[catalog_mirror.handlers]\ndeadly = deadly_handler\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


@pytest.mark.usefixtures("deadly_handler")
@pytest.mark.timeout(240)
async def test_an_event_that_kills_the_process_becomes_a_dead_letter_and_no_innocent_does(
    catalog: Any,
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    innocents = [(f"v2.deadly.i{number}", b'{"n": %d}' % number) for number in range(40)]
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url) as service:
        await service.wait_ready()
        await catalog.publish([*innocents[:20], ("v2.deadly.poison", b'{"deadly": true}'), *innocents[20:]])
        for _ in range(14):
            await _until_dead_or_done(service, rows)
            if await rows.one("SELECT count(*) FROM dead_letters"):
                break
            await service.start()
        await rows.until("SELECT count(*) FROM enrichment_areas", 40, 90)
        assert await rows.all("SELECT routing_key, error_class FROM dead_letters") == [("v2.deadly.poison", "poison")]
        await rows.until("SELECT count(*) FROM suspects", 0)


@pytest.mark.timeout(240)
async def test_an_event_in_hand_at_every_death_is_not_blamed_for_what_others_do(
    rig: Callable[..., Any], amqp_url: str, postgres_url: str
) -> None:
    async with rig("kill -9, the same event in hand", amqp_url, postgres_url) as world:
        await world.publish(5)
        await world.mirrored()
        somebody = await asyncpg.connect(postgres_url)
        async with somebody.transaction():
            await somebody.execute("LOCK TABLE data_profiles IN ACCESS EXCLUSIVE MODE")
            await world.publish(3)
            while await world.rows.all("SELECT met FROM suspects") != [(SUSPECT_LIMIT,)]:
                await _until_in_hand(somebody, world.figures.faults)
                world.figures.faults += 1
                await world.service.kill()
                await world.service.start()
            await _until_in_hand(somebody, world.figures.faults)
            assert '"survived": true' in world.service.log_text()
            await world.service.kill()
        await somebody.close()
        await world.service.start()
        await world.resumed()


async def _until_in_hand(somebody: asyncpg.Connection, deaths: int) -> None:
    """Each life waits for the lock in its turn; the database does not notice those that died of it."""
    async with asyncio.timeout(90):
        while await somebody.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") <= deaths:
            await asyncio.sleep(0.05)


async def _until_dead_or_done(service: MirrorProcess, rows: Any) -> None:
    for _ in range(400):
        if service.ended or await rows.one("SELECT count(*) FROM dead_letters"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("neither died nor found the poison")


async def test_a_flood_of_unreadable_events_pulls_the_brake_and_a_person_lifts_it(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    run_command: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url) as service:
        await service.wait_ready()
        await catalog.publish((f"v2.data_profiles.x{number}.POST", b"{") for number in range(300))
        body = await service.wait_for(lambda status, body: "dead letters" in " ".join(body["reasons"]))
        assert "`catalog-mirror resume`" in " ".join(body["reasons"])
        assert await rows.one("SELECT count(*) FROM dead_letters") <= 40
        await rows.until("SELECT count(*) FROM controls WHERE name LIKE 'brake:%'", 1)
        queue = await catalog.channel.declare_queue("catalog-mirror", passive=True)
        await queue.purge()
        await run_command("resume", STORE__URL=sqlite_url)
        await catalog.publish([profile_event(1)])
        await rows.until("SELECT count(*) FROM data_profiles", 1)


@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_a_million_events_with_one_bad_in_a_hundred_leave_a_dead_letter_each_and_memory_flat(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    postgres_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    rows, number = rows_of(postgres_url), int(os.environ.get("CATALOG_MIRROR_SOAK_EVENTS", "1000000"))
    per_s = float(os.environ.get("CATALOG_MIRROR_SOAK_EVENTS_PER_S", "inf"))
    began, memory = time.monotonic(), [0.0]
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=postgres_url) as service:
        await service.wait_ready()
        for start in range(0, number, 1000):
            events = [profile_event(n, at_s=n % 86_400) for n in range(start, start + 1000)]
            for n in range(0, 1000, 100):
                events[n] = (f"v2.data_profiles.bad{start + n}.PATCH", b"{")
            await catalog.publish(events)
            # Not faster than it keeps up with, so that memory is that of the service at work, not of a queue's growth.
            await rows.until(f"SELECT count(*) >= {(start + 1000) * 0.99 - 20_000} FROM data_profiles", True, 300)
            memory.append(_rss_mib(service.pid))
            await asyncio.sleep(max(0.0, began + (start + 1000) / per_s - time.monotonic()))
        took_min = (time.monotonic() - began) / 60
        await rows.until("SELECT count(*) FROM data_profiles", number * 99 // 100, 300)
        await rows.until("SELECT count(*) FROM dead_letters", number // 100, 300)
        await rows.until("SELECT count(*) FROM deliveries", 0, 600)
    early, late = memory[len(memory) // 6], memory[-1]
    at_minutes = f"{took_min / 6:.0f}: {early:.0f} MiB, {took_min:.0f}: {late:.0f} MiB"
    print(f"RSS at minute {at_minutes}, at most {max(memory):.0f} MiB")
    assert late <= early * 1.1
    own = {event_id for (event_id,) in await rows.all("SELECT event_id FROM lineage_events WHERE own")}
    assert set(await catalog.came_back()) == own


def _rss_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024
