"""How fast the graph of columns answers on PostgreSQL: ten hops forward and backward over a million edges.

Tables in layers, each made by a few jobs out of neighbours in the layer above; a column is made of one to three others.
It is written into the store as rows, and asked as the API asks.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import mean
from typing import Any

import asyncpg
from pydantic import SecretStr
from rich.table import Table

from benchmarks.asking import Answers, Figure, growth, in_turn
from benchmarks.parts import Parts
from service.mirror import schema
from service.mirror.lineage.columns import Node, column_graph
from service.mirror.lineage.walk import Direction
from service.mirror.store import Store
from service.settings.model import StoreSettings

NAME = "column_graph"
#: Edges of the small graph, and of the large one.
SIZES = SMALL, LARGE = 100_000, 1_000_000
#: Links of a walk at least, and columns that an answer may have to count.
HOPS, MAX_COLUMNS = 10, 1000
_LAYERS, _COLUMNS, _NEIGHBOURS = 14, 12, 12
#: Columns that one column is made of.
_SOURCES = (1, 1, 1, 2, 3)
_SEED = 11

#: A flow, its number, from asset and column, to asset and column.
Edge = tuple[str, int, str, str, str, str]


def edges(number: int) -> Iterator[Edge]:
    """About so many edges: a flow makes each column of a table of one to three columns of the layer above."""
    chance = random.Random(_SEED)
    per_layer = _per_layer(number)
    for flow in range((_LAYERS - 1) * per_layer):
        layer, place = divmod(flow, per_layer)
        told = 0
        for column in range(_COLUMNS):
            for _ in range(chance.choice(_SOURCES)):
                source = _table(layer, (place + chance.randrange(_NEIGHBOURS)) % per_layer)
                target = _table(layer + 1, place)
                yield f"f{flow}", told, source, f"c{chance.randrange(_COLUMNS)}", target, f"c{column}"
                told += 1


def _per_layer(number: int) -> int:
    return round(number / ((_LAYERS - 1) * _COLUMNS * mean(_SOURCES)))


def _table(layer: int, number: int) -> str:
    return f"postgres://db:5432/shop.layer{layer}.table{number}"


async def measure(on: Parts) -> dict[int, dict[str, Figure]]:
    """Fill both graphs and ask them in turn; answers figures by size and direction."""
    database = await asyncio.to_thread(on.new_database)
    stores = {size: Store(StoreSettings(url=SecretStr(database), schema_name=f"columns_{size}")) for size in SIZES}
    try:
        for size, store in stores.items():
            await schema.upgrade(store)
            await _fill(database, f"columns_{size}", size)
        answers: dict[int, dict[str, Figure]] = {size: {} for size in stores}
        for direction in Direction:
            figures = await in_turn({size: _Asking(store, direction, size) for size, store in stores.items()})
            for size, figure in figures.items():
                answers[size][direction.value] = figure
        return answers
    finally:
        for store in stores.values():
            await store.close()


class _Asking:
    """Asks about columns from where the way is long, and remembers how long each answer took."""

    def __init__(self, store: Store, direction: Direction, size: int) -> None:
        self._store = store
        self._direction = direction
        self._tables = _per_layer(size)
        self._chance = random.Random(_SEED)
        self.answers = Answers()

    async def ask(self) -> None:
        """The next column that has ten links before it and few enough columns."""
        layer = 0 if self._direction is Direction.FORWARD else _LAYERS - 1
        while True:
            node = Node(_table(layer, self._chance.randrange(self._tables)), f"c{self._chance.randrange(_COLUMNS)}")
            started = time.perf_counter()
            async with self._store.read() as connection:
                found = await column_graph(connection, [node], [self._direction])
            took = time.perf_counter() - started
            if max(found.columns.values()) >= HOPS and len(found.columns) <= MAX_COLUMNS:
                break
        self.answers.note(took, len(found.columns))


async def _fill(url: str, schema_name: str, size: int) -> None:
    now = datetime.now(UTC)
    rows = [
        (flow, number, source, column, column, target, made, made, True)
        for flow, number, source, column, target, made in edges(size)
    ]
    flows = list(dict.fromkeys(row[0] for row in rows))
    tables: dict[str, tuple[list[str], list[tuple[Any, ...]]]] = {
        "column_flows": (
            ["flow_id", "number", "from_asset_id", "from_column", "from_key", "to_asset_id", "to_column", "to_key",
             "is_direct"],
            rows,
        ),
        "column_facets": (
            ["facet_id", "version", "event_id", "flow_id", "mirrored_at"],
            [(flow, b"\0", f"e{flow}", flow, now) for flow in flows],
        ),
        "lineage_events": (
            ["event_id", "event_type", "event_time", "own", "source_service", "version", "mirrored_at", "mapping",
             "document"],
            [(f"e{flow}", "JOB_COMPLETED", now, False, "dbt/job", b"\0", now, 1, "{}") for flow in flows],
        ),
    }  # fmt: skip
    connection = await asyncpg.connect(url)
    try:
        for name, (columns, records) in tables.items():
            await connection.copy_records_to_table(name, records=records, columns=columns, schema_name=schema_name)
            await connection.execute(f"VACUUM ANALYZE {schema_name}.{name}")
    finally:
        await connection.close()


def table(found: dict[int, dict[str, Figure]]) -> Table:
    """The figures for people."""
    told = Table(title="Ten links and more through the graph of columns, on PostgreSQL", title_justify="left")
    for column in ("edges", "direction", "columns", "p50 ms", "p95 ms"):
        told.add_column(column, justify="right")
    for size, figures in found.items():
        for direction, figure in figures.items():
            told.add_row(f"{size:,}", direction, f"{figure.found:.0f}", f"{figure.p50_ms:.1f}", f"{figure.p95_ms:.1f}")
    return told


def summary(found: dict[int, dict[str, Figure]]) -> dict[str, Any]:
    """The figures for the last line: of the large graph, and how they grew from the small one."""
    return growth("columns", found[SMALL], found[LARGE])
