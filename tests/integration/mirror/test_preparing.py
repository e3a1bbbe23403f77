"""Statements are kept prepared where the session is ours alone, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from asyncpg import InterfaceError
from asyncpg.exceptions import ConnectionDoesNotExistError
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import StoreUnavailable
from service.mirror.controls import read_control, set_control
from service.mirror.preparing import keep_plans
from service.mirror.store import Fault, Store, fault_of
from service.settings.model import StoreSettings

KEPT = sa.text("SELECT statement, custom_plans, generic_plans FROM pg_prepared_statements")
ASKED = sa.text("SELECT relname FROM pg_class WHERE oid = :oid")


@asynccontextmanager
async def store_at(url: str) -> AsyncIterator[Store]:
    store = Store(StoreSettings(url=SecretStr(url)))
    try:
        yield store
    finally:
        await store.close()


async def ask(connection: AsyncConnection, times: int = 1) -> None:
    for _ in range(times):
        await connection.execute(ASKED, {"oid": 1259})


async def kept(connection: AsyncConnection) -> dict[str, tuple[int, int]]:
    """Plans made for the values of one time, and for any, of what is kept of `ASKED`."""
    rows = await connection.execute(KEPT)
    return {row.statement: (row.custom_plans, row.generic_plans) for row in rows if "relname" in row.statement}


async def test_a_statement_is_read_once_and_planned_each_time(empty_postgres_url: str) -> None:
    async with store_at(empty_postgres_url) as store:
        for _ in range(4):
            async with store.read() as connection:
                await ask(connection, 2)
        async with store.read() as connection:
            (plans,) = (await kept(connection)).values()
    assert plans == (8, 0)


async def test_plans_are_kept_for_a_transaction_that_says_so(empty_postgres_url: str) -> None:
    async with store_at(empty_postgres_url) as store:
        async with store.read() as connection:
            await keep_plans(connection)
            await ask(connection, 9)
        async with store.read() as connection:
            await ask(connection)
        async with store.read() as connection:
            (plans,) = (await kept(connection)).values()
    assert plans == (6, 4), "PostgreSQL plans five times for the values; after the transaction it does so again"


async def test_behind_a_pooler_nothing_is_kept(empty_postgres_url: str, pgbouncer: Any) -> None:
    async with store_at(pgbouncer.through(empty_postgres_url)) as store:
        for _ in range(4):
            async with store.write() as one, store.write() as two:  # two sessions at once
                await keep_plans(one)
                await ask(one, 2)
                await ask(two, 2)
                assert await kept(one) == await kept(two) == {}


@pytest.mark.parametrize("change", ["bigint", "text"])
async def test_a_column_that_gets_another_type_is_worth_a_retry(empty_postgres_url: str, change: str) -> None:
    asked = sa.text("SELECT number FROM things")
    async with store_at(empty_postgres_url) as store, store_at(empty_postgres_url) as other:
        async with other.write() as connection:
            await connection.execute(sa.text("CREATE TABLE things (number int)"))
        async with store.read() as connection:
            await connection.execute(asked)
        async with other.write() as connection:
            await connection.execute(sa.text(f"ALTER TABLE things ALTER number TYPE {change}"))
        with pytest.raises(DBAPIError) as refused:
            async with store.read() as connection:
                await connection.execute(asked)
        assert fault_of(refused.value) is Fault.RETRY
        async with store.read() as connection:
            assert (await connection.execute(asked)).all() == []


@pytest.mark.parametrize(
    "error",
    [OSError("broken"), ConnectionDoesNotExistError("broken"), InterfaceError("broken")],
    ids=lambda e: type(e).__name__,
)
async def test_a_connection_that_breaks_while_it_is_made_ready_is_closed(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever the driver calls it, it is the store that is away."""
    made: list[Any] = []

    async def breaks(driver: Any, _: int) -> bool:
        made.append(driver)
        raise error

    monkeypatch.setattr("service.mirror.preparing._made_ready", breaks)
    async with store_at(empty_postgres_url) as store:
        with pytest.raises(StoreUnavailable, match="broken"):
            async with store.reading():
                pass
    assert [driver.is_closed() for driver in made] == [True]


async def test_whoever_stalls_in_a_transaction_keeps_nobody_from_its_rows_for_longer_than_a_statement_may_take(
    postgres_url: str,
) -> None:
    """A process that stands still, or is cut off, cannot end its transaction; its server would wait for hours."""
    stalled = Store(StoreSettings(url=SecretStr(postgres_url), timeout_s=0.3))
    async with store_at(postgres_url) as other:
        async with other.write() as connection:
            await set_control(connection, "held", 0)
        went_on = asyncio.Event()
        standing = asyncio.create_task(_stand(stalled, went_on))
        async with other.read() as connection:
            while not await _is_held(connection):
                await asyncio.sleep(0.01)
        async with other.write() as connection:
            await set_control(connection, "held", 2)
        went_on.set()
        with pytest.raises(StoreUnavailable):
            await standing
        async with other.read() as connection:
            assert await read_control(connection, "held") == 2
    await stalled.close()


async def _stand(store: Store, until: asyncio.Event) -> None:
    """Write, and stand still before the end of the transaction."""
    async with store.writing() as connection:
        await set_control(connection, "held", 1)
        await until.wait()


async def _is_held(connection: AsyncConnection) -> bool:
    locked = "SELECT count(*) FROM pg_locks WHERE relation = 'controls'::regclass AND mode = 'RowExclusiveLock'"
    return bool((await connection.execute(sa.text(locked))).scalar_one())
