"""Outages of a SQLite store: consuming pauses, nothing becomes a dead letter, and it goes on by itself."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

IMPATIENT = {"STORE__TIMEOUT_S": "3"}


def _is_down(status: int, body: dict[str, Any]) -> bool:
    return "store cannot be used" in str(body["reasons"])


async def test_a_file_that_somebody_has_locked(rig: Callable[..., Any], amqp_url: str, sqlite_url: str) -> None:
    async with rig("file locked", amqp_url, sqlite_url, **IMPATIENT) as world:
        await world.publish(50)
        await world.mirrored()
        somebody = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        somebody.execute("BEGIN EXCLUSIVE")
        await world.publish(100)
        await world.service.wait_for(_is_down)
        assert (await world.service.get("/livez"))[0] == 200
        somebody.execute("ROLLBACK")
        somebody.close()
        await world.resumed()


async def test_a_disk_that_is_full(
    rig: Callable[..., Any], amqp_url: str, small_disk: Path, fill_up: Callable[[Path], None]
) -> None:
    filler = small_disk / "filler"
    async with rig("file's disk full", amqp_url, f"sqlite:///{small_disk / 'mirror.db'}", **IMPATIENT) as world:
        await world.publish(50)
        await world.mirrored()
        await asyncio.to_thread(fill_up, filler)
        await world.publish(500)
        body = await world.service.wait_for(_is_down)
        assert "full" in str(body["reasons"])
        filler.unlink()
        await world.resumed()


async def test_a_file_that_is_moved_away_and_put_back(
    rig: Callable[..., Any], amqp_url: str, sqlite_url: str, tmp_path: Path
) -> None:
    """SQLite would go on writing to a file that nobody finds."""
    file, aside = Path(sqlite_url.removeprefix("sqlite:///")), tmp_path / "aside"
    aside.mkdir()
    async with rig("file moved away", amqp_url, sqlite_url, **IMPATIENT) as world:
        await world.publish(50)
        await world.mirrored()
        await world.rows.store.close()
        for part in tmp_path.glob(f"{file.name}*"):
            part.rename(aside / part.name)
        await world.publish(100)
        body = await world.service.wait_for(_is_down)
        assert f"{file} was moved away" in str(body["reasons"])
        assert not file.exists()
        assert (await world.service.get("/livez"))[0] == 200
        for part in aside.iterdir():
            part.rename(tmp_path / part.name)
        await world.resumed()


async def test_a_file_system_that_becomes_read_only_while_it_runs(
    rig: Callable[..., Any], amqp_url: str, failing_disk: Any
) -> None:
    url = f"sqlite:///{failing_disk.place / 'mirror.db'}"
    # What it had leased cannot be given back to a store that takes nothing: it waits until the lease has lapsed.
    async with rig("file system read-only", amqp_url, url, RELAY__LEASE_S="5", **IMPATIENT) as world:
        await world.publish(50)
        await world.mirrored()
        await asyncio.to_thread(failing_disk.fail)
        await world.publish(100)
        await world.service.wait_for(_is_down)
        assert (await world.service.get("/livez"))[0] == 200
        await world.service.terminate()
        await world.rows.store.close()
        await asyncio.to_thread(failing_disk.repair)
        await world.service.start()
        await world.resumed()
