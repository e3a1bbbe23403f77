"""What an event costs with a million rows in every table that events write, against ten thousand: wall and server.

Real events are written first, through the pipeline; their rows are then multiplied in SQL under new ids, so that what
is filled has the form and the sizes of what is written, whatever the schema is. Both mirrors are on one server. New
events then go into both through the pipeline, a batch here and the same one there.

The server is the measuring process's own: no checkpoint and no autovacuum falls into one of the two. So this is the
cost between checkpoints; right after one, a page's first change is logged whole, and a larger mirror has more pages.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from benchmarks import inprocess, parts
from benchmarks.errors import BenchFailed
from benchmarks.events import SEED
from sandbox.parts.postgres import PrivatePostgres
from sandbox.parts.process import off_loop
from service.changes import Origin
from service.events.message import Message
from service.pipeline.committing import Fate
from service.pipeline.pipeline import Pipeline
from service.process.garbage import spare_the_garbage_collector

NAME = "growth"
#: Rows of the two mirrors, in every table that events write but `containers`, of which there are as many as catalogs.
SMALL, LARGE = 10_000, 1_000_000
#: Events that are multiplied: one in five updates a profile, so these are 2,000 profiles.
SEEDLINGS = 2500
BATCH = 500
#: Measured batches into each; some more warm up.
BATCHES, WARM_UP = 20, 4
SETTINGS = parts.POSTGRES_SETTINGS | {"max_wal_size": "64GB", "autovacuum": "off"}
#: Columns that tell rows apart and lead to other rows: each value gets a new one, the same in every table.
_IDS = ("profile_id", "asset_id", "event_id")
#: Tables with fewer rows than this after the first events are the service's own.
_LEAST_ROWS = 100
_WRITTEN = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'public' AND c.reltuples >= $1 ORDER BY c.relname
"""
_COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


@dataclass(slots=True)
class Cost:
    """What events took of one mirror, in seconds: wall, and CPU of the server."""

    events: int = 0
    wall_s: float = 0.0
    server_s: float = 0.0

    @property
    def wall_us(self) -> float:
        """Microseconds of wall for one event."""
        return self.wall_s / self.events * 1e6

    @property
    def server_us(self) -> float:
        """Microseconds of the server's CPU for one event."""
        return self.server_s / self.events * 1e6


Costs = dict[int, Cost]


async def measure(large: int = LARGE) -> Costs:
    """The cost by number of rows.

    Raises:
        BenchFailed: the two mirrors took different events.
        PartMissing: there is no PostgreSQL here.
    """
    settings = {name: value for name, value in SETTINGS.items() if name != "fsync"}
    async with off_loop(PrivatePostgres(fsync=True, settings=settings)) as server:
        await _plant(server.create_database("seedlings"))
        urls = {rows: server.create_database(f"rows_{rows}", template="seedlings") for rows in (SMALL, large)}
        for rows, url in urls.items():
            await _multiply(url, rows)
        return await _costs(urls, server)


async def _plant(url: str) -> None:
    await inprocess.migrate(url)
    async with inprocess.pipeline(url, answers=True) as pipeline:
        for batch in _batches(inprocess.messages_of(SEEDLINGS)):
            await pipeline.process(batch, Origin.LIVE)
    connection = await asyncpg.connect(url)
    await connection.execute("DELETE FROM deliveries")  # nobody delivers here, and what is delivered leaves no row
    await connection.execute("VACUUM (ANALYZE)")
    await connection.close()


async def _multiply(url: str, rows: int) -> None:
    """Bring every table that was written to so many rows: what is there, again and again under new ids."""
    connection = await asyncpg.connect(url)
    for (table,) in await connection.fetch(_WRITTEN, _LEAST_ROWS):
        there = await connection.fetchval(f'SELECT count(*) FROM "{table}"')  # noqa: S608 (as PostgreSQL names it)
        columns = [name for (name,) in await connection.fetch(_COLUMNS, table)]
        values = ", ".join(f'md5(t."{name}" || n)::uuid::text' if name in _IDS else f't."{name}"' for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        await connection.execute(
            f'INSERT INTO "{table}" ({names}) SELECT {values} FROM "{table}" t, '  # noqa: S608
            f"generate_series(1, {-(-rows // there)}) n LIMIT {max(0, rows - there)}"
        )
    await connection.execute("VACUUM (ANALYZE)")
    await connection.close()


def _batches(messages: Sequence[Message]) -> list[Sequence[Message]]:
    return [messages[start : start + BATCH] for start in range(0, len(messages), BATCH)]


async def _costs(urls: dict[int, str], server: PrivatePostgres) -> Costs:
    """New events into both, batch by batch in turn; who is first changes each time."""
    costs: Costs = {rows: Cost() for rows in urls}
    batches = _batches(inprocess.messages_of(BATCH * (BATCHES + WARM_UP), SEED + 1))
    small, large = urls
    async with (
        inprocess.pipeline(urls[small], answers=True) as little,
        inprocess.pipeline(urls[large], answers=True) as much,
    ):
        spare_the_garbage_collector()
        pairs = [(small, little), (large, much)]
        for place, batch in enumerate(batches):
            for rows, pipeline in pairs if place % 2 else reversed(pairs):
                cost = await _cost(pipeline, batch, server)
                if place >= WARM_UP:
                    _add(costs[rows], cost)
    if costs[small].events != costs[large].events:
        raise BenchFailed(f"Of the same events {costs[small].events} and {costs[large].events} were applied.")
    return costs


async def _cost(pipeline: Pipeline, batch: Sequence[Message], server: PrivatePostgres) -> Cost:
    server_s, began = server.cpu_s(), time.perf_counter()
    outcome = await pipeline.process(batch, Origin.LIVE)
    wall_s = time.perf_counter() - began
    return Cost(outcome.fates[Fate.APPLIED], wall_s, server.cpu_s() - server_s)


def _add(total: Cost, one: Cost) -> None:
    total.events += one.events
    total.wall_s += one.wall_s
    total.server_s += one.server_s


def ratios(costs: Costs) -> dict[str, float]:
    """The large mirror against the small one."""
    small, large = costs.values()
    return {
        "growth_wall": round(large.wall_us / small.wall_us, 2),
        "growth_postgresql_cpu": round(large.server_us / small.server_us, 2),
    }


def summary(costs: Costs) -> dict[str, Any]:
    """For the last line, by number of rows."""
    return {
        NAME: {
            str(rows): {"wall_us": round(cost.wall_us), "postgresql_cpu_us": round(cost.server_us)}
            for rows, cost in costs.items()
        }
    }


def lines(costs: Costs) -> list[str]:
    """The same for people."""
    return [
        f"with {rows:,} rows in each table an event takes {cost.wall_us:.0f} µs, and {cost.server_us:.0f} µs of the "
        "server's CPU"
        for rows, cost in costs.items()
    ]
