"""How fast the graph answers: ten hops forward and backward, on a small graph and on one ten times as large.

The graph is that of a data platform in layers: each event makes one or a few assets out of a few of the layer above;
some assets are used by very many. It is written into the store as rows, and asked as the API asks.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
from pydantic import SecretStr
from rich.table import Table

from benchmarks.asking import Answers, Figure, growth, in_turn
from benchmarks.parts import Parts
from service.mirror import schema
from service.mirror.lineage.questions import LineageType, Question, answer
from service.mirror.lineage.walk import Direction, walk
from service.mirror.store import Store
from service.settings.model import StoreSettings

NAME = "lineage_graph"
#: Edges of the small graph, and of the large one.
SIZES = SMALL, LARGE = 100_000, 1_000_000
#: Hops of a walk, and assets that an answer may have to count.
HOPS, MAX_ASSETS = 10, 1000
_LAYERS = 14
#: Assets among which an event chooses what it uses; share of uses that are of what everybody uses; of two outputs.
_NEIGHBOURS, _POPULAR, _TWO_OUTPUTS = 12, 0.02, 0.1
_SEED = 11
_TIME = "2026-05-10T15:04:15.000000Z"

Edge = tuple[str, str, str]


def edges(number: int) -> Iterator[Edge]:
    """So many edges: event, asset, role. An event uses about 1.8 neighbours and makes 1.1 of the next layer."""
    chance = random.Random(_SEED)
    per_layer = max(2 * _NEIGHBOURS, number // (_LAYERS * 3))
    made = 0
    for event in range(number):
        layer, place = chance.randrange(_LAYERS - 1), chance.randrange(per_layer)
        uses = {_asset(layer, _used(chance, place, per_layer)) for _ in range(chance.choice((1, 1, 2, 2, 2, 3)))}
        makes = {_asset(layer + 1, place)}
        if chance.random() < _TWO_OUTPUTS:
            makes.add(_asset(layer + 1, (place + 1) % per_layer))
        for assets, role in ((uses, "uses"), (makes, "generates")):
            for asset in sorted(assets):
                yield f"e{event}", asset, role
                made += 1
                if made == number:
                    return


def _used(chance: random.Random, place: int, per_layer: int) -> int:
    """A neighbour; one use in fifty is of what everybody uses."""
    if chance.random() < _POPULAR:
        return chance.randrange(max(1, per_layer // 1000))
    return (place + chance.randrange(_NEIGHBOURS)) % per_layer


def _asset(layer: int, number: int) -> str:
    return f"layer{layer}-{number}"


async def measure(on: Parts) -> dict[str, Any]:
    """Fill both kinds of store with both graphs, and ask; answers figures by store, size and direction."""
    database = await asyncio.to_thread(on.new_database)
    with TemporaryDirectory(prefix="cm-bench-") as directory:
        files = {size: StoreSettings(url=SecretStr(f"sqlite:///{Path(directory) / f'{size}.db'}")) for size in SIZES}
        schemas = {size: StoreSettings(url=SecretStr(database), schema_name=f"edges_{size}") for size in SIZES}
        return {"sqlite": await _kind(files), "postgresql": await _kind(schemas)}


async def _kind(settings: dict[int, StoreSettings]) -> dict[int, dict[str, Figure]]:
    """One kind of store: both graphs are asked in turn, so that what else the machine does is the same for both."""
    stores = {size: Store(chosen) for size, chosen in settings.items()}
    try:
        for size, store in stores.items():
            await schema.upgrade(store)
            await _fill(store, settings[size], size)
        answers: dict[int, dict[str, Figure]] = {size: {} for size in stores}
        for direction in Direction:
            figures = await in_turn({size: _Asking(store, direction) for size, store in stores.items()})
            for size, figure in figures.items():
                answers[size][direction.value] = figure
        return answers
    finally:
        for store in stores.values():
            await store.close()


class _Asking:
    """Asks about assets from where the way is long, and remembers how long each answer took."""

    def __init__(self, store: Store, direction: Direction) -> None:
        self._store = store
        self._direction = direction
        self._chance = random.Random(_SEED)
        self.answers = Answers()

    async def ask(self) -> None:
        """The next asset that has ten hops before it and few enough assets."""
        layer = 0 if self._direction is Direction.FORWARD else _LAYERS - 1
        while True:
            asset_id = _asset(layer, self._chance.randrange(_NEIGHBOURS, SMALL // (_LAYERS * 3)))
            async with self._store.read() as connection:
                reach = await walk(connection, asset_id, self._direction)
            if max(reach.assets.values()) >= HOPS and len(reach.assets) <= MAX_ASSETS:
                break
        started = time.perf_counter()
        async with self._store.read() as connection:
            await answer(connection, Question(asset_id, LineageType(self._direction.value)))
        self.answers.note(time.perf_counter() - started, len(reach.assets))


async def _fill(store: Store, settings: StoreSettings, size: int) -> None:
    if store.path is not None:
        await asyncio.to_thread(_fill_sqlite, store.path, size)
    else:
        await _fill_postgresql(settings.url.get_secret_value(), str(settings.schema_name), size)


def _rows(size: int) -> tuple[list[Edge], list[str]]:
    found = list(edges(size))
    return found, sorted({event for event, _, _ in found})


def _fill_sqlite(path: Path, size: int) -> None:
    found, events = _rows(size)
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO lineage_edges (event_id, asset_id, role) VALUES (?, ?, ?)", found)
        connection.executemany(
            "INSERT INTO lineage_events (event_id, event_time, own, version, mirrored_at, mapping, document) "
            "VALUES (?, ?, 0, x'00', ?, 1, '{}')",
            [(event, _TIME, _TIME) for event in events],
        )
        connection.execute("ANALYZE")
    connection.close()


async def _fill_postgresql(url: str, schema_name: str, size: int) -> None:
    found, events = _rows(size)
    now = datetime.now(UTC)
    connection = await asyncpg.connect(url)
    try:
        columns = ["event_id", "asset_id", "role"]
        await connection.copy_records_to_table("lineage_edges", records=found, columns=columns, schema_name=schema_name)
        columns = ["event_id", "event_time", "own", "version", "mirrored_at", "mapping", "document"]
        rows = [(event, now, False, b"\0", now, 1, "{}") for event in events]
        await connection.copy_records_to_table("lineage_events", records=rows, columns=columns, schema_name=schema_name)
        await connection.execute(f"VACUUM ANALYZE {schema_name}.lineage_edges, {schema_name}.lineage_events")
    finally:
        await connection.close()


def table(found: dict[str, Any]) -> Table:
    """The figures for people."""
    told = Table(title="Ten hops and more through the lineage graph", title_justify="left")
    for column in ("store", "edges", "direction", "assets", "p50 ms", "p95 ms"):
        told.add_column(column, justify="right")
    for store, sizes in found.items():
        for size, figures in sizes.items():
            for direction, figure in figures.items():
                row = (f"{figure.found:.0f}", f"{figure.p50_ms:.1f}", f"{figure.p95_ms:.1f}")
                told.add_row(store, f"{size:,}", direction, *row)
    return told


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """The figures for the last line: of the large graph, and how they grew from the small one."""
    told: dict[str, Any] = {}
    for store, sizes in found.items():
        told |= growth(f"lineage_{store}", sizes[SMALL], sizes[LARGE])
    return told
