"""How fast the mirror answers people, on PostgreSQL: search, an asset whole, the overview, a page of a view.

`python -m benchmarks.questions` fills a private server with a million assets of five columns each, has the service's
own indexing make them findable, and asks; with `--busy` the service's pipeline takes events all the while, from a
process of its own. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

import asyncpg
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks import inprocess, parts
from benchmarks.errors import BenchFailed
from sandbox.parts.postgres import PrivatePostgres
from service.changes import Origin
from service.mirror.search import following
from service.mirror.store import Store
from service.queries import views
from service.queries.asked import Filters, Kind
from service.queries.assets import whole
from service.queries.overview import overview
from service.queries.search import search
from service.settings.model import StoreSettings

ASSETS, COLUMNS, QUESTIONS = 1_000_000, 5, 400
#: Events of one batch of the busy pipeline, and of those that it takes again and again.
_BATCH, _EVENTS = 500, 20_000
_SEED = 7
#: Words of names; an asset's number chooses three of them.
_WORDS = (
    "customer", "order", "invoice", "payment", "shipment", "product", "account", "ledger", "contract", "employee",
    "supplier", "warehouse", "return", "campaign", "session", "device", "sensor", "claim", "policy", "region",
    "branch", "loan", "rating", "forecast", "budget", "ticket", "visit", "patient", "order", "delivery",
)  # fmt: skip
_COLUMN_WORDS = ("email", "birth_date", "amount", "status", "created_at", "country", "iban", "phone", "score", "note")

_FILL = (
    """
    INSERT INTO containers (container_id, kind, name, version, mirrored_at, mapping, document)
    SELECT 'c' || n, 'catalog', 'Catalog ' || n, '\\x00', now(), 1, '{}' FROM generate_series(0, 99) n
    """,
    """
    INSERT INTO assets (asset_id, container_kind, container_id, name, asset_type, visibility_mode, description, tags,
                        state, owner_id, version, version_at, mirrored_at, mapping, document)
    SELECT 'a' || n, 'catalog', 'c' || n % 100,
           upper(w[1 + n % 30] || '_' || w[1 + n / 30 % 30] || '_' || lpad(n::text, 7, '0')),
           CASE n % 20 WHEN 0 THEN 'notebook' WHEN 1 THEN 'connection' ELSE 'data_asset' END,
           CASE n % 50 WHEN 0 THEN 8 ELSE 0 END, 'What is known of ' || w[1 + n / 900 % 30],
           CASE n % 10 WHEN 0 THEN 'pii,gold' END, 'available', 'u' || n % 500, '\\x00',
           now() - n * interval '1 second', now() - interval '1 hour', 1, '{"name": "' || repeat('x', 400) || '"}'
      FROM generate_series(1, $1::int) n, (SELECT $2::text[] AS w) words
    """,
    """
    INSERT INTO asset_columns (asset_id, name, position, data_type, native_type, nullable, data_class)
    SELECT 'a' || n, upper(w[1 + (n + p * 3) % 10]) || '_' || p, p, 'string', 'VARCHAR', true,
           CASE (n + p) % 40 WHEN 0 THEN 'Email Address' END
      FROM generate_series(1, $1::int) n, generate_series(1, $3::int) p, (SELECT $2::text[] AS w) words
    """,
    """
    INSERT INTO asset_terms (asset_id, column_name, term_id, standing, term)
    SELECT 'a' || n, '', 't' || n % 200, 'assigned', 'Term ' || n % 200 FROM generate_series(1, $1::int, 4) n
    """,
    """
    INSERT INTO lineage_events (event_id, event_type, event_time, own, version, mirrored_at, mapping, document)
    SELECT 'e' || n, 'JOB_COMPLETED', now(), false, '\\x00', now(), 1, '{}' FROM generate_series(1, $1::int, 5) n
    """,
    """
    INSERT INTO lineage_edges (event_id, asset_id, role)
    SELECT 'e' || n, 'a' || n + p, CASE p WHEN 0 THEN 'generates' ELSE 'uses' END
      FROM generate_series(1, $1::int, 5) n, generate_series(0, 3) p
    """,
    """
    INSERT INTO sync_states (container_id, kind, container_kind, complete_as_of, things)
    SELECT 'c' || n, 'kind_' || k, 'catalog', now() - n * interval '1 minute', 10000
      FROM generate_series(0, 99) n, generate_series(1, 30) k
    """,
    "INSERT INTO target_states (target) SELECT 'target_' || n FROM generate_series(1, 3) n",
    """
    INSERT INTO deliveries (delivery_id, target, entity_kind, entity_id, change, created_at, due_at)
    SELECT 'd' || n, 'target_' || 1 + n % 3, 'asset', 'a' || n, 'AssetSaved', now(), now()
      FROM generate_series(1, 100000) n
    """,
)

Ask = Callable[[AsyncConnection, Store, random.Random, int], Awaitable[int]]


async def fill(url: str, number: int) -> None:
    """So many assets, with what is around them."""
    connection = await asyncpg.connect(url)
    try:
        for statement in _FILL:
            words = _COLUMN_WORDS if "asset_columns" in statement else _WORDS
            wanted = sum(f"${place}" in statement for place in (1, 2, 3))
            await connection.execute(statement, *(number, list(words), COLUMNS)[:wanted])
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


async def index(store: Store) -> float:
    """Make all of it findable without a rest; answers how many seconds that took."""
    began = time.perf_counter()
    while await following.step(store):
        pass
    return time.perf_counter() - began


def _name(chance: random.Random, assets: int) -> tuple[str, str, int]:
    number = chance.randrange(1, assets)
    return _WORDS[number % 30], _WORDS[number // 30 % 30], number


async def _by_words(connection: AsyncConnection, _: Store, chance: random.Random, assets: int) -> int:
    first, second, number = _name(chance, assets)
    return len(
        (await search(connection, f"{second} {first} {number:07d}"[: chance.choice((40, len(first) + 4))])).matches
    )


async def _by_beginning(connection: AsyncConnection, _: Store, chance: random.Random, assets: int) -> int:
    first, second, _number = _name(chance, assets)
    return len((await search(connection, f"{first}_{second[:4]}")).matches)


async def _mistyped(connection: AsyncConnection, _: Store, chance: random.Random, assets: int) -> int:
    word = _name(chance, assets)[0]
    place = chance.randrange(1, len(word) - 1)
    return len((await search(connection, word[:place] + word[place + 1] + word[place] + word[place + 2 :])).matches)


async def _filtered(connection: AsyncConnection, _: Store, chance: random.Random, assets: int) -> int:
    place = Filters((Kind.ASSET,), types=("data_asset",), containers=(f"c{chance.randrange(100)}",))
    kind = Filters((Kind.ASSET,), owners=(f"u{chance.randrange(500)}",), classes=("Email Address",))
    by = chance.choice((place, place, kind))  # of some owners no asset has the class
    return len((await search(connection, chance.choice(("", "email")), by)).matches)


async def _asset(connection: AsyncConnection, _: Store, chance: random.Random, assets: int) -> int:
    found = await whole(connection, f"a{chance.randrange(1, assets - 1) | 1}")
    return len(found.columns.rows) if found else 0


async def _overview(connection: AsyncConnection, store: Store, _: random.Random, assets: int) -> int:
    return len((await overview(connection, store)).freshness)


async def _page(connection: AsyncConnection, _: Store, chance: random.Random, assets: int) -> int:
    condition = views.condition_of("v1_assets", f"owner_id:eq:u{chance.randrange(500)}")
    return len((await views.page(connection, "v1_assets", conditions=[condition])).rows)


ASKED: dict[str, Ask] = {
    "search_words": _by_words,
    "search_beginning": _by_beginning,
    "search_mistyped": _mistyped,
    "search_filtered": _filtered,
    "asset": _asset,
    "overview": _overview,
    "view_page": _page,
}


@dataclass(slots=True)
class _Asked:
    """What answers took, in seconds: wall, our CPU, the whole server's; and how many things they had."""

    wall_s: list[float] = field(default_factory=list)
    found: list[int] = field(default_factory=list)
    own_s: float = 0.0
    server_s: float = 0.0

    def figures(self) -> dict[str, float]:
        """For the last line: milliseconds, and things of an answer."""
        number = len(self.wall_s)
        return {
            "p50_ms": round(median(self.wall_s) * 1000, 1),
            "p95_ms": round(quantiles(self.wall_s, n=20)[-1] * 1000, 1),
            "max_ms": round(max(self.wall_s) * 1000, 1),
            "own_cpu_ms": round(self.own_s / number * 1000, 1),
            "server_cpu_ms": round(self.server_s / number * 1000, 1),
            "found": median(self.found),
        }


async def ask(
    store: Store, server_cpu_s: Callable[[], float], assets: int, number: int = QUESTIONS
) -> dict[str, dict[str, float]]:
    """Ask each question so many times, in turn.

    Raises:
        BenchFailed: most answers were empty.
    """
    chance, asked = random.Random(_SEED), {name: _Asked() for name in ASKED}
    for turn in range(number + 1):
        for name, one in ASKED.items():
            began, own_s, server_s = time.perf_counter(), time.process_time(), server_cpu_s()
            async with store.read() as connection:
                things = await one(connection, store, chance, assets)
            if turn:  # the first time statements are compiled
                took = asked[name]
                took.wall_s.append(time.perf_counter() - began)
                took.own_s += time.process_time() - own_s
                took.server_s += server_cpu_s() - server_s
                took.found.append(things)
    empty = [name for name, took in asked.items() if not median(took.found)]
    if empty:
        raise BenchFailed(f"Most answers were empty: {', '.join(empty)}.")
    return {name: took.figures() for name, took in asked.items()}


def _feed(url: str, stop: Any, taken: Any) -> None:
    """Take events until told otherwise, as fast as it goes."""

    async def work() -> None:
        messages = inprocess.messages_of(_EVENTS)
        async with inprocess.pipeline(url, answers=False) as pipeline:
            while not stop.is_set():
                for start in range(0, len(messages), _BATCH):
                    await pipeline.process(messages[start : start + _BATCH], Origin.LIVE)
                    taken.value += _BATCH
                    if stop.is_set():
                        return

    asyncio.run(work())


@contextmanager
def _busy(url: str, wanted: bool) -> Iterator[Callable[[], float]]:
    """A pipeline at full speed beside us, if it is wanted; what is given tells events per second so far."""
    if not wanted:
        yield lambda: 0.0
        return
    context = multiprocessing.get_context("spawn")
    stop, taken = context.Event(), context.Value("q", 0)
    process = context.Process(target=_feed, args=(url, stop, taken), name="feed")
    process.start()
    began = time.monotonic()
    try:
        yield lambda: float(taken.value) / (time.monotonic() - began)
    finally:
        stop.set()
        process.join(30)
        if process.is_alive():
            process.terminate()


async def measure(number: int, *, busy: bool) -> dict[str, Any]:
    """Fill, index and ask; answers the figures."""
    settings = {name: value for name, value in parts.POSTGRES_SETTINGS.items() if name != "fsync"}
    with PrivatePostgres(fsync=True, settings=settings) as server:
        url = server.create_database("questions")
        await inprocess.migrate(url)
        await fill(url, number)
        store = Store(StoreSettings(url=SecretStr(url)))
        try:
            index_s = await index(store)
            connection = await asyncpg.connect(url)
            await connection.execute("VACUUM (ANALYZE)")
            size = await connection.fetchval(
                "SELECT pg_total_relation_size('search_things') + pg_total_relation_size('search_words')"
            )
            await connection.close()
            load = os.getloadavg()[0]
            with _busy(url, busy) as events_per_s:
                figures = await ask(store, server.cpu_s, number)
                pace = events_per_s()
        finally:
            await store.close()
    return {
        "assets": number, "columns": number * COLUMNS, "cores": os.cpu_count(), "load_before": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2), "index_s": round(index_s, 1),
        "index_us_a_thing": round(index_s / number * 1e6), "search_bytes_a_thing": round(size / number),
        "events_per_s_beside": round(pace), "questions": figures,
    }  # fmt: skip


def main() -> int:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--assets", type=int, default=ASSETS)
    parser.add_argument("--busy", action="store_true", help="have a pipeline take events beside it")
    chosen = parser.parse_args()
    print(json.dumps(asyncio.run(measure(chosen.assets, busy=chosen.busy))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
