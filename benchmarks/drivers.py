"""Which driver of PostgreSQL is quicker under SQLAlchemy, with the statement that the mirror writes most.

Both get the same rows in the same batches, straight and through PgBouncer in transaction mode, where only a client that
does not rely on its session gets through.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks.errors import BenchFailed
from benchmarks.events import load_of
from benchmarks.parts import Parts
from sandbox.parts.pgbouncer import PrivatePgBouncer
from service.events.keys import words_of
from service.events.message import Event
from service.mirror.bulk import state_insert
from service.mirror.planning import plan_of
from service.mirror.store import Store
from service.mirror.tables import data_profiles, metadata
from service.pipeline import routing
from service.settings.model import StoreSettings
from service.text import documents

ROWS = 8000
BATCH = 500
#: Batches in flight, and server connections that PgBouncer shares among them: fewer, so that sessions change hands.
CLIENTS, SERVERS = 4, 2

_insert = state_insert(data_profiles)
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One pass over all rows."""

    rate: float
    cpu_us: float


async def measure(on: Parts, rounds: int) -> None:
    """Show the figures of each driver, and print them as a JSON line.

    Raises:
        BenchFailed: a driver left another number of rows than it was given.
        PartMissing: PgBouncer is not installed.
    """
    rows = _rows()
    found: dict[str, list[Figure]] = {}
    with ExitStack() as stack:
        url = await asyncio.to_thread(on.new_database)
        pooler = await asyncio.to_thread(stack.enter_context, PrivatePgBouncer(on.postgres_url, pool_size=SERVERS))
        engines = {
            "asyncpg": _asyncpg(url),
            "psycopg": _psycopg(url),
            "asyncpg through PgBouncer": _asyncpg(pooler.through(url)),
            "psycopg through PgBouncer": _psycopg(pooler.through(url)),
        }
        try:
            async with engines["asyncpg"].begin() as connection:
                await connection.run_sync(metadata.create_all)
            for _ in range(rounds):
                for name, engine in engines.items():
                    found.setdefault(name, []).append(await _pass(name, engine, rows))
        finally:
            for engine in engines.values():
                await engine.dispose()
    _show(found)


def _rows() -> Rows:
    """The rows that the mirror makes of profile events."""
    router = routing.Router(routing.installed_handlers())
    changes = []
    for index, sample in enumerate(load_of(round(ROWS * 1.25)).samples):
        words = words_of(sample.routing_key)
        route = router.route(words)
        if route is None or route.handler is None:
            raise BenchFailed(f"nothing takes {sample.routing_key}")
        event = Event(sample.routing_key, words, documents.read(sample.body, 64))
        changes += [(index, change) for change in route.handler.run(event)]
    return [row.values for row in plan_of(changes).data_profiles.values()]


def _asyncpg(url: str) -> AsyncEngine:
    """As the service connects."""
    return Store(StoreSettings(url=SecretStr(url), pool_size=CLIENTS)).engine


def _psycopg(url: str) -> AsyncEngine:
    """Without prepared statements, which PgBouncer's transaction mode would lose."""
    return create_async_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=CLIENTS,
        pool_pre_ping=True,
        connect_args={"prepare_threshold": None},
    )


async def _pass(name: str, engine: AsyncEngine, rows: Rows) -> Figure:
    async with engine.begin() as connection:
        await connection.execute(sa.text("TRUNCATE data_profiles"))
    waiting = iter([rows[start : start + BATCH] for start in range(0, len(rows), BATCH)])

    async def client() -> None:
        for batch in waiting:
            async with engine.begin() as connection:
                await _insert.run(connection, batch)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    async with engine.connect() as connection:
        written = await connection.scalar(sa.select(sa.func.count()).select_from(data_profiles))
    if written != len(rows):
        raise BenchFailed(f"{name} wrote {written} rows instead of {len(rows)}")
    return Figure(len(rows) / seconds, cpu / len(rows) * 1e6)


def _show(found: dict[str, list[Figure]]) -> None:
    shown = Table(title=f"Medians; batches of {BATCH}, {CLIENTS} at a time", title_justify="left", header_style="bold")
    for column in ("driver", "rows/s", "CPU µs/row"):
        shown.add_column(column, justify="left" if column == "driver" else "right")
    medians = {
        name: (median(f.rate for f in figures), median(f.cpu_us for f in figures)) for name, figures in found.items()
    }
    for name, (rate, cpu_us) in medians.items():
        shown.add_row(name, f"{rate:,.0f}", f"{cpu_us:,.1f}")
    Console(stderr=True).print(shown)
    figures = {
        name: {"rows_per_s": round(rate), "cpu_us_per_row": round(cpu, 1)} for name, (rate, cpu) in medians.items()
    }
    print(json.dumps(figures), flush=True)
