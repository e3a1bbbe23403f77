"""SQLite's thread is visited once for a statement, and no row is lost on the way."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from service.mirror import sqlite
from service.mirror.store import Store
from service.settings.model import StoreSettings

NUMBERS = "WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < {}) SELECT n FROM up"


@pytest.fixture
async def store(sqlite_url: str) -> AsyncIterator[Store]:
    made = Store(StoreSettings(url=SecretStr(sqlite_url)))
    yield made
    await made.close()


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Functions that were called in the threads of connections."""
    made: list[str] = []
    visit = sqlite.Connection._execute

    async def noted(self: sqlite.Connection, function: Any, *arguments: Any, **more: Any) -> Any:
        made.append(function.__name__)
        return await visit(self, function, *arguments, **more)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(sqlite.Connection, "_execute", noted)
    return made


async def test_a_transaction_visits_the_thread_once_for_each_statement(store: Store, visits: list[str]) -> None:
    await store.check()
    visits.clear()
    async with store.write() as connection:
        await connection.execute(sa.text("CREATE TABLE t (a INTEGER)"))
        await connection.execute(sa.text("INSERT INTO t VALUES (:a)"), [{"a": n} for n in range(3)])
        assert (await connection.execute(sa.text("SELECT sum(a) FROM t"))).scalar_one() == 3
    assert visits == [*["_begun"] * 4, "commit", "rollback"]  # BEGIN is a statement, too


@pytest.mark.parametrize("number", [0, 1, sqlite._FIRST_ROWS - 1, sqlite._FIRST_ROWS, sqlite._FIRST_ROWS + 1, 2500])
async def test_however_many_rows_there_are_they_come_in_order(store: Store, number: int) -> None:
    query = sa.text(NUMBERS.format(number) + f" WHERE n <= {number}")
    wanted = list(range(1, number + 1))
    async with store.read() as connection:
        assert list((await connection.execute(query)).scalars()) == wanted
        streamed = await connection.stream(query, execution_options={"yield_per": 400})
        assert [row.n async for row in streamed] == wanted


async def test_rows_that_nobody_fetches_hold_up_no_writer(store: Store) -> None:
    async with store.read() as connection:
        streamed = await connection.stream(sa.text(NUMBERS.format(5000)), execution_options={"yield_per": 10})
        assert (await streamed.fetchone()) == (1,)
        assert (await streamed.fetchmany(2)) == [(2,), (3,)]
        await streamed.close()
        assert (await connection.execute(sa.text("SELECT 7"))).scalar_one() == 7
    async with store.write() as connection:
        await connection.execute(sa.text("DROP TABLE IF EXISTS t"))


async def test_what_was_written_is_counted_and_returned(store: Store) -> None:
    async with store.write() as connection:
        await connection.execute(sa.text("CREATE TABLE t (a INTEGER PRIMARY KEY)"))
        returned = await connection.execute(sa.text("INSERT INTO t VALUES (4), (5) RETURNING a"))
        assert (returned.all(), returned.rowcount) == ([(4,), (5,)], 2)
        assert (await connection.execute(sa.text("UPDATE t SET a = a + 10"))).rowcount == 2
        inserted = await connection.exec_driver_sql("INSERT INTO t VALUES (77)")
        assert inserted.lastrowid == 77


async def test_a_statement_that_fails_says_so_as_ever_and_the_next_one_works(store: Store) -> None:
    async with store.read() as connection:
        with pytest.raises(sa.exc.OperationalError, match="no such table: nowhere") as refused:
            await connection.execute(sa.text("SELECT 1 FROM nowhere"))
        assert isinstance(refused.value.orig, sqlite3.OperationalError)
        assert (await connection.execute(sa.text("SELECT 1"))).scalar_one() == 1
