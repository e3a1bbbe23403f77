"""The store: one engine on PostgreSQL or SQLite, its transactions, its clock, and what its errors mean.

asyncpg is the driver of PostgreSQL: it takes batches several times faster than psycopg (docs/benchmarks.md).
Statements are prepared without a name, inside a transaction, which PgBouncer's transaction mode allows.
"""

from __future__ import annotations

import asyncio
import getpass
import sqlite3
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from service.errors import SettingInvalid, StoreIncomplete, StoreLinkRefused, StoreNotWritable, StoreUnavailable
from service.mirror import remedies, sqlite
from service.mirror.clock import store_later, store_now
from service.mirror.preparing import Preparing
from service.settings.model import StoreSettings, hide_password
from service.settings.trust import mutual
from service.text.forgotten import Forgotten

#: How often, and after how many seconds each, switching a new file to WAL is tried again.
_WAL_ATTEMPTS, _WAL_PAUSE_S = 200, 0.05

#: What PostgreSQL calls our sessions.
APPLICATION = "catalog-mirror"
#: Seconds after which a session is made anew, so that it does not outlive for ever whom it was opened to.
_SESSION_AGE_S = 600
#: SQLSTATE of a statement that a server refuses because it only reads: after a switch-over, the former primary.
_READ_ONLY = "25006"


class Overtaken(SQLAlchemyError):
    """Another transaction wrote a row between our look at it and our write; it is worth a retry."""


#: What may be raised when a statement fails, before anyone has looked why.
STORE_ERRORS = (SQLAlchemyError, OSError, TimeoutError, UnicodeEncodeError, OverflowError)


#: SQLSTATEs of a table, a column and a schema that are not there.
_ABSENT = frozenset({"42P01", "42703", "3F000"})


class Fault(StrEnum):
    """What a failed statement asks for."""

    DATA = "data"  # one row is at fault: find it
    RETRY = "retry"  # a deadlock or serialisation failure: once more
    DOWN = "down"  # the store itself: pause


class Store:
    """The mirror's database."""

    def __init__(self, settings: StoreSettings, *, migrating: bool = False) -> None:
        self.url = _async_url(_secret(settings, migrating=migrating).get_secret_value())
        self.dialect = self.url.get_backend_name()
        self.schema = settings.schema_name if self.dialect == "postgresql" else None
        #: Who reads and writes what this role makes, where that is somebody else.
        self.runtime_role = _other_role(settings, self.url) if migrating else None
        #: People who were forgotten in it, as far as this process has heard (`service.mirror.privacy.held`).
        self.forgotten = Forgotten()
        #: Seconds after which a statement is given up.
        self.timeout_s = settings.timeout_s
        self._shows_certificate = settings.cert_file is not None
        self.engine = _engine(self.url, self.schema, settings, migrating=migrating)

    @property
    def where(self) -> str:
        """The store without its password, for messages."""
        if self.dialect == "sqlite":
            return str(self.path)
        shown = self.url.set(drivername="postgresql", query={})  # the query may hold a password, too
        return hide_password(shown.render_as_string(hide_password=False))

    @property
    def path(self) -> Path | None:
        """The file of an SQLite store."""
        database = self.url.database
        return (
            Path(database).absolute() if self.dialect == "sqlite" and database not in (None, "", ":memory:") else None
        )

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes; it commits at the end."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads, so that it never waits for a writer."""
        async with self.engine.connect() as connection:
            yield await connection.execution_options(mirror_reads=True)

    @asynccontextmanager
    async def translated(self) -> AsyncIterator[None]:
        """Whatever fails in here for the store's sake is `StoreUnavailable` outside."""
        try:
            yield
        except STORE_ERRORS as error:
            raise self.unavailable(error) from error

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """As `write`, for whom every failure is an outage: raises `StoreUnavailable`."""
        async with self.translated(), self.write() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """As `read`, for whom every failure is an outage: raises `StoreUnavailable`."""
        async with self.translated(), self.read() as connection:
            yield connection

    async def check(self) -> None:
        """Probe the store.

        Raises:
            StoreUnavailable: it does not answer, or not within the timeout.
        """
        async with self.reading() as connection:
            await connection.execute(sa.select(1))

    def check_writable(self) -> None:
        """Look whether an SQLite store can be created or written, before anything else happens.

        Raises:
            StoreNotWritable: with the path and who may not write there.
        """
        if self.path is None:
            return
        try:
            if not self.path.parent.is_dir():
                raise FileNotFoundError(f"the directory {self.path.parent} does not exist")
            existed = self.path.exists()
            with self.path.open("ab"):
                pass
            if existed and self.path.stat().st_size:
                with sqlite3.connect(self.path, timeout=30) as connection:
                    connection.execute("BEGIN IMMEDIATE")
                connection.close()
        except (OSError, sqlite3.Error) as error:
            raise StoreNotWritable(where=str(self.path), problem=error, user=_user()) from None

    def unavailable(self, error: BaseException) -> StoreUnavailable:
        """The error to raise for a store that is down."""
        cause = getattr(error, "orig", None) or error
        said = remedies.told(cause)
        if not said and isinstance(cause, TimeoutError):
            said = f"nothing within the {self.timeout_s:g} s of STORE__TIMEOUT_S: overload, or somebody's lock"
        if ask := remedies.advice(cause, self.where, shows_certificate=self._shows_certificate):
            return StoreLinkRefused(problem=said.removesuffix("."), ask=ask)
        kind = StoreIncomplete if _is_incomplete(cause) else StoreUnavailable
        return kind(problem=f"{type(cause).__name__}: {said}", where=self.where)

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()

    def now(self) -> sa.ColumnElement[datetime]:
        """The store's own clock, in SQL."""
        return store_now(self.dialect)

    def later(self, seconds: float) -> sa.ColumnElement[datetime]:
        """The store's clock plus some seconds (negative: before now), in SQL."""
        return store_later(self.dialect, seconds)


def fault_of(error: BaseException) -> Fault:
    """What a failed statement asks for, read from the driver's own error.

    SQLSTATE classes 22 and 23 are data, and so is 54 (a value beyond a limit of the server); 40 is worth a retry, and
    so is a kept statement whose columns a migration gave another type.
    SQLite raises bare `UnicodeEncodeError` and `OverflowError` for values that it cannot hold.
    """
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return Fault.DATA
    if isinstance(error, Overtaken):
        return Fault.RETRY
    if not isinstance(error, DBAPIError):
        return Fault.DOWN
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(error.orig, AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError):
        return Fault.RETRY
    if state:
        return {"22": Fault.DATA, "23": Fault.DATA, "54": Fault.DATA, "40": Fault.RETRY}.get(state[:2], Fault.DOWN)
    if isinstance(error.orig, sqlite3.IntegrityError | sqlite3.DataError | UnicodeEncodeError | OverflowError):
        return Fault.DATA
    return Fault.DOWN


def _is_incomplete(cause: BaseException) -> bool:
    """Whether a statement named a schema, table or column that is not there."""
    if isinstance(cause, sqlite3.OperationalError):
        return str(cause).startswith(("no such table", "no such column"))
    return getattr(cause, "sqlstate", None) in _ABSENT


def _async_url(text: str) -> URL:
    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except ArgumentError:
        raise SettingInvalid(setting="CATALOG_MIRROR_STORE__URL", problem="it is no database URL") from None
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    if backend not in drivers:
        problem = f"{backend} is not supported; use sqlite:///file or postgresql://…"
        raise SettingInvalid(setting="CATALOG_MIRROR_STORE__URL", problem=problem)
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise SettingInvalid(setting="CATALOG_MIRROR_STORE__URL", problem="a mirror in memory would be lost")
    return url.set(drivername=drivers[backend])


def _engine(url: URL, schema: str | None, settings: StoreSettings, *, migrating: bool) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(
            url, connect_args={"timeout": settings.timeout_s, "async_creator_fn": sqlite.connect}
        )
        file = _SqliteFile(Path(str(url.database)).absolute())
        sa.event.listen(engine.sync_engine, "do_connect", file.before_connect)
        sa.event.listen(engine.sync_engine, "connect", _on_sqlite_connect)
        sa.event.listen(engine.sync_engine, "connect", file.on_connect)
        sa.event.listen(engine.sync_engine, "begin", file.before_transaction)
        sa.event.listen(engine.sync_engine, "begin", _on_sqlite_begin)
        return engine
    engine = create_async_engine(
        _with_tls(url),
        pool_size=settings.pool_size,
        max_overflow=2,
        pool_pre_ping=True,
        pool_recycle=_SESSION_AGE_S,
        connect_args={
            "statement_cache_size": 0,  # of the driver's own; `Preparing` keeps statements, where they may be kept
            "command_timeout": None if migrating else settings.timeout_s,  # an index takes the time that it takes
            "timeout": settings.timeout_s,
            "server_settings": {"application_name": APPLICATION},
        },
    )
    sa.event.listen(engine.sync_engine, "do_connect", _FreshCredentials(settings, migrating=migrating))
    sa.event.listen(engine.sync_engine, "do_connect", Preparing(None if migrating else settings.timeout_s))
    sa.event.listen(engine.sync_engine, "handle_error", _leave_read_only_server)
    return engine.execution_options(schema_translate_map={None: schema}) if schema else engine


def _leave_read_only_server(context: sa.engine.ExceptionContext) -> None:
    """A session with a server that only reads is dead to us, with those beside it: the next ones find the primary."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


class _FreshCredentials:
    """Connects with the credentials and the certificates that the files hold now, where there are any."""

    def __init__(self, settings: StoreSettings, *, migrating: bool) -> None:
        self._settings = settings
        self._migrating = migrating

    def __call__(self, dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        ours = self._settings
        url = make_url(_secret(ours, migrating=self._migrating).get_secret_value())
        told = {"user": url.username, "password": url.password}
        parameters.update({name: value for name, value in told.items() if value is not None})
        if ours.ca_file or ours.cert_file or ours.key_file:
            parameters["ssl"] = self._tls()

    def _tls(self) -> ssl.SSLContext:
        """Files are written anew while we run: what cannot be used is waited for, as an outage is."""
        ours = self._settings
        try:
            return mutual("STORE", ours.ca_file, ours.cert_file, ours.key_file)
        except SettingInvalid as error:
            raise OSError(str(error)) from error


def _secret(settings: StoreSettings, *, migrating: bool) -> SecretStr:
    return (migrating and settings.migration_url) or settings.url


def _other_role(settings: StoreSettings, mine: URL) -> str | None:
    role = make_url(settings.url.get_secret_value()).username
    return role if role != mine.username else None


def _with_tls(url: URL) -> URL:
    """Libpq's `sslmode` is asyncpg's `ssl`."""
    mode = url.query.get("sslmode")
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": str(mode)}) if mode else url


class _SqliteFile:
    """Notices that the file was moved away or replaced: SQLite would go on writing to what nobody reads any more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._was_there = False

    def before_connect(self, *_: Any) -> None:
        """A file that was there is not made anew, empty."""
        if self._was_there and not self._path.exists():
            raise FileNotFoundError(f"{self._path} was moved away: put it back")

    def on_connect(self, _: Any, record: Any) -> None:
        """Remember which file this connection writes to."""
        record.info["file"] = self._identity()
        self._was_there = True

    def before_transaction(self, connection: sa.Connection) -> None:
        """Give a connection up that writes to another file than the one that is there."""
        if connection.info.get("file") != self._identity():
            connection.invalidate()
            raise FileNotFoundError(f"{self._path} was moved away or replaced while it was used")

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino


def _on_sqlite_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_on_sqlite_begin`
    cursor = connection.cursor()
    _use_wal(cursor)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")  # FULL: what is committed is on disk before it is acked
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Switch to WAL, for which SQLite does not wait when somebody else is at work on a new file."""
    for _ in range(_WAL_ATTEMPTS):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            await_only(asyncio.sleep(_WAL_PAUSE_S))
    cursor.execute("PRAGMA journal_mode=WAL")


def _on_sqlite_begin(connection: sa.Connection) -> None:
    """Take the write lock at once: a lock that is upgraded half-way fails with "database is locked"."""
    reads = connection.get_execution_options().get("mirror_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return "this user"
