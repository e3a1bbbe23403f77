"""How long a window takes: a million uses, by asset and by different users, on PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
from pydantic import SecretStr

from benchmarks.errors import BenchFailed
from benchmarks.parts import Parts
from service.mirror import schema
from service.mirror.store import Store
from service.mirror.usage.figures import figures
from service.mirror.usage.window import Window, window_until
from service.settings.model import StoreSettings

NAME = "usage_window"
#: Uses in the window, assets, users; and copies: assets that count as another one.
FACTS, ASSETS, USERS, COPIES = 1_000_000, 50_000, 5_000, 10_000
#: Times that it is counted.
ROUNDS = 3
_SEED = 11
_COLUMNS = ("fact_id", "asset_id", "user_hash", "occurred_at", "number", "source", "version", "mirrored_at")


async def measure(on: Parts) -> dict[str, float]:
    """Seconds for the window, alone and with copies united."""
    url = await asyncio.to_thread(on.new_database)
    store = Store(StoreSettings(url=SecretStr(url)))
    window = window_until(date(2026, 6, 1), ZoneInfo("Europe/Berlin"))
    try:
        await schema.upgrade(store)
        await _fill(url, window)
        same = {f"asset-{number}": f"asset-{number + COPIES}" for number in range(COPIES)}
        return {"alone": await _took(store, window, {}), "united": await _took(store, window, same)}
    finally:
        await store.close()


async def _took(store: Store, window: Window, same: dict[str, str]) -> float:
    """The median; raises `BenchFailed` where not every use was counted."""
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        async with store.read() as connection:
            found = await figures(connection, window, same)
        took.append(time.perf_counter() - started)
        if sum(figure.uses for figure in found.values()) != FACTS:
            raise BenchFailed("The window did not come to every use that is in it.")
    return median(took)


async def _fill(url: str, window: Window) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.copy_records_to_table("usage_facts", records=_rows(window), columns=_COLUMNS)
        await connection.execute("VACUUM ANALYZE usage_facts")
    finally:
        await connection.close()


def _rows(window: Window) -> Iterator[tuple[Any, ...]]:
    """Some assets are used far more than others, and some users do most of it."""
    chance, now = random.Random(_SEED), datetime.now(UTC)
    seconds = (window.end - window.start).total_seconds()
    for number in range(FACTS):
        asset, user = int(ASSETS * chance.random() ** 2), int(USERS * chance.random() ** 2)
        moment = window.start + timedelta(seconds=seconds * chance.random())
        yield f"{number:032x}", f"asset-{asset}", f"{user:032x}", moment, 1, "import", b"\0", now


def summary(took: dict[str, float]) -> dict[str, float]:
    """For the last line."""
    return {"usage_window_s": round(took["alone"], 2), "usage_window_united_s": round(took["united"], 2)}
