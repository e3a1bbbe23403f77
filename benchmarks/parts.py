"""What a measurement runs on: a broker and a database server, private ones unless URLs are given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from sandbox.parts.broker import PrivateBroker
from sandbox.parts.postgres import PrivatePostgres, create_database, drop_database

#: The bench's own PostgreSQL: durable, and large enough that no checkpoint falls into a run.
POSTGRES_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
}
_DATABASE = "catalog_mirror_bench"


@dataclass(frozen=True, slots=True)
class Parts:
    """Where broker and database server are."""

    amqp_url: str
    postgres_url: str
    #: The private server, where it is one.
    postgres: PrivatePostgres | None = None

    @property
    def database_url(self) -> str:
        """The database that each run has to itself."""
        return urlunsplit(urlsplit(self.postgres_url)._replace(path=f"/{_DATABASE}"))

    def server_cpu_s(self) -> float | None:
        """Seconds of CPU that the private server has taken so far, its processes that ended included."""
        return None if self.postgres is None else self.postgres.cpu_s()

    def new_database(self) -> str:
        """An empty database, whatever was there before."""
        self.drop_database()
        return create_database(self.postgres_url, _DATABASE)

    def drop_database(self) -> None:
        """Leave none behind."""
        drop_database(self.postgres_url, _DATABASE)


@contextmanager
def provided(amqp_url: str | None, postgres_url: str | None) -> Iterator[Parts]:
    """The given parts, and private ones where none are given."""
    with ExitStack() as stack:
        settings = {name: value for name, value in POSTGRES_SETTINGS.items() if name != "fsync"}
        amqp_url = amqp_url or stack.enter_context(PrivateBroker()).url
        if postgres_url:
            parts = Parts(amqp_url, postgres_url)
        else:
            server = stack.enter_context(PrivatePostgres(fsync=True, settings=settings))
            parts = Parts(amqp_url, server.url, server)
        stack.callback(parts.drop_database)
        yield parts


async def postgres_settings(url: str) -> dict[str, str]:
    """Version and settings that decide about speed, as the server tells them."""
    connection = await asyncpg.connect(url)
    try:
        names = ["server_version", *POSTGRES_SETTINGS]
        return {name: await connection.fetchval("SELECT current_setting($1)", name) for name in names}
    finally:
        await connection.close()
