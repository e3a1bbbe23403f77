"""The schema of the store: what this version needs, what it finds, and how one becomes the other."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from service.errors import SchemaMissing
from service.mirror.described import describe
from service.mirror.store import STORE_ERRORS, Store
from service.settings import StoreSettings

#: The generation that this code reads and writes: revisions `01xx`. A later generation may lack what we need.
GENERATION = "01"
#: The oldest revision that this code runs on.
OLDEST = "0104"
#: Names the advisory lock that lets only one replica migrate.
_LOCK = 7_283_412_001


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def newest() -> str:
    """The revision that `upgrade` leads to."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


async def migrate(settings: StoreSettings) -> None:
    """Upgrade by the role that may: `STORE__MIGRATION_URL`, where it is set.

    Raises:
        StoreUnavailable: as `upgrade`.
    """
    store = Store(settings, migrating=True)
    try:
        await upgrade(store)
    finally:
        await store.close()


async def upgrade(store: Store) -> str:
    """Bring the schema up to date; answers its revision. Safe to call from many replicas at once.

    Raises:
        StoreUnavailable: the store does not answer or the role may not change the schema.
    """
    try:
        async with store.write() as connection:
            await connection.run_sync(_upgrade, store.schema)
    except STORE_ERRORS as error:
        raise store.unavailable(error) from error
    return newest()


def _upgrade(connection: sa.Connection, schema: str | None) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if schema:
            quoted = connection.dialect.identifier_preparer.quote(schema)
            if not sa.inspect(connection).has_schema(schema):  # IF NOT EXISTS asks for the right to create even then
                connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {quoted}"))
            connection.execute(sa.text(f"SET LOCAL search_path TO {quoted}"))
    config = _config()
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    revision = _revision(connection, schema)
    if revision == newest() or _is_newer(revision):
        return
    command.upgrade(config, "head")
    if connection.dialect.name == "postgresql":
        describe(connection)


def _revision(connection: sa.Connection, schema: str | None) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version", schema=schema):
        return None
    return MigrationContext.configure(connection, opts={"version_table_schema": schema}).get_current_revision()


def _is_newer(revision: str | None) -> bool:
    return revision is not None and revision > newest()


async def current(store: Store) -> str | None:
    """The revision of the store; None for an empty one.

    Raises:
        StoreUnavailable: it does not answer.
    """
    try:
        async with store.read() as connection:
            return await connection.run_sync(_revision, store.schema)
    except STORE_ERRORS as error:
        raise store.unavailable(error) from error


async def check(store: Store) -> None:
    """Look whether this code can run on the schema: at least `OLDEST`, and of the same generation.

    Raises:
        SchemaMissing: it is too old, or of a later generation.
    """
    revision = await current(store)
    if revision is None or revision < OLDEST or revision[:2] != GENERATION:
        raise SchemaMissing(where=store.where, found=revision or "none", needed=f"{OLDEST} or a later {GENERATION}xx")
