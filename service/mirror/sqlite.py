"""SQLite with one visit to a connection's thread for each statement.

SQLite blocks, so aiosqlite gives each connection a thread, which is visited for every call. SQLAlchemy makes four calls
of a query: for a cursor, the statement, its rows and the end. Here the statement brings its cursor and its rows along.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import aiosqlite

#: Rows that come along with their statement; more are fetched when they are asked for.
_FIRST_ROWS = 1000


class Connection(aiosqlite.Connection):
    """As SQLAlchemy's adapter wants one."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=_FIRST_ROWS)
        self._thread.daemon = True  # as SQLAlchemy has those that it makes itself

    def cursor(self) -> Cursor:  # type: ignore[override]
        """A cursor that the thread hears of with its first statement."""
        return Cursor(self)

    async def visit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in the thread."""
        return await self._execute(function, *arguments)  # type: ignore[no-untyped-call]

    async def begin(self, *statement: Any) -> Any:
        """Begin a statement; answers what `_begun` does."""
        return await self.visit(_begun, self._conn, *statement)


class Cursor:
    """What SQLAlchemy's adapter asks of a cursor."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor: sqlite3.Cursor | None = None
        self._rows: list[Any] = []
        self._is_open = False
        self.arraysize = 1

    async def __aenter__(self) -> Cursor:
        return self

    @property
    def description(self) -> Any:
        """The columns of a statement that has any."""
        return self._cursor.description if self._cursor else None

    @property
    def rowcount(self) -> int:
        """Rows that were changed."""
        return self._cursor.rowcount if self._cursor else -1

    @property
    def lastrowid(self) -> int | None:
        """Of the row that was inserted last."""
        return self._cursor.lastrowid if self._cursor else None

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Have a statement executed."""
        await self._begin(sqlite3.Cursor.execute, statement, parameters)

    async def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> None:
        """Have a statement executed for each of the parameters."""
        await self._begin(sqlite3.Cursor.executemany, statement, parameters)

    async def _begin(self, execute: Callable[..., Any], statement: str, parameters: Sequence[Any]) -> None:
        self._cursor, self._rows, self._is_open = await self._connection.begin(execute, statement, parameters)

    async def fetchmany(self, size: int) -> list[Any]:
        """The next rows."""
        if self._is_open and len(self._rows) < size:
            await self._fetch(size)
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken

    async def fetchone(self) -> Any:
        """The next row; None after the last."""
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def fetchall(self) -> list[Any]:
        """All rows that are left."""
        if self._is_open:
            await self._fetch(-1)
        taken, self._rows = self._rows, []
        return taken

    async def _fetch(self, size: int) -> None:
        rows, self._is_open = await self._connection.visit(_fetched, self._cursor, size)
        self._rows += rows

    async def close(self) -> None:
        """Fetch no more."""
        if self._is_open and self._cursor is not None:
            self._is_open = False
            await self._connection.visit(self._cursor.close)


def connect(database: str, **settings: Any) -> Connection:
    """A connection with the settings of `sqlite3.connect`; to be awaited."""
    return Connection(partial(sqlite3.connect, database, **settings))


def _begun(
    connection: sqlite3.Connection, execute: Callable[..., Any], statement: str, parameters: Sequence[Any]
) -> tuple[sqlite3.Cursor, list[Any], bool]:
    cursor = connection.cursor()
    execute(cursor, statement, parameters)
    rows, is_open = _fetched(cursor, _FIRST_ROWS) if cursor.description else ([], False)
    return cursor, rows, is_open


def _fetched(cursor: sqlite3.Cursor, size: int) -> tuple[list[Any], bool]:
    """Rows, and whether there may be more; after the last one the statement no longer holds what it read."""
    rows = cursor.fetchmany(size) if size >= 0 else cursor.fetchall()
    is_open = len(rows) == size
    if not is_open:
        cursor.close()
    return rows, is_open
