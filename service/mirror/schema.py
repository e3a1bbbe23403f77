"""The schema of the store: what this version needs, what it finds, and how one becomes the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from service.errors import SchemaMissing
from service.mirror import indexes, rights
from service.mirror.described import describe
from service.mirror.patience import enter, patiently
from service.mirror.search import preparing
from service.mirror.store import STORE_ERRORS, Store
from service.settings.model import StoreSettings

#: The generation that this code reads and writes: revisions `01xx`. A later generation may lack what we need.
GENERATION = "01"
#: The oldest revision that this code runs on.
OLDEST = "0136"
_MIGRATIONS = Path(__file__).parent / "migrations"


def _config() -> Any:
    """Alembic's configuration; it is large, and imported only where there is something to migrate."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def newest() -> str:
    """The revision that `upgrade` leads to: files are named by theirs."""
    return max(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


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
    """Bring the schema up to date, unless it is later than ours; answers its revision.

    Many replicas may call it at once, and others may read and write meanwhile.

    Raises:
        StoreUnavailable: the store does not answer or the role may not change the schema.
        SchemaLocked: somebody kept a table for longer than we are patient.
    """
    await patiently(store, lambda connection: connection.run_sync(_upgrade, store))
    try:
        async with indexes.alone(store) as is_alone:
            if is_alone:
                await indexes.build_missing(store)
                await preparing.prepare(store)
    except STORE_ERRORS as error:
        raise store.unavailable(error) from error
    return await current(store) or newest()


def _upgrade(connection: sa.Connection, store: Store) -> None:
    on_postgres = connection.dialect.name == "postgresql"
    if on_postgres:
        enter(connection, store.schema)
    revision = _revision(connection, store.schema)
    if _is_newer(revision):
        return
    if revision != newest():
        _run_migrations(connection, "head", store.schema)
        if on_postgres:
            describe(connection)
    if on_postgres and store.runtime_role:
        rights.grant(connection, store.runtime_role, store.schema)


def upgrade_plainly(connection: sa.Connection, revision: str = "head") -> str:
    """Upgrade an empty database that nobody else uses to a revision; answers which that is."""
    _run_migrations(connection, revision, None)
    return str(_revision(connection, None))


def _run_migrations(connection: sa.Connection, revision: str, schema: str | None) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    command.upgrade(config, revision)


def _revision(connection: sa.Connection, schema: str | None) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version", schema=schema):
        return None
    version = sa.table("alembic_version", sa.column("version_num"), schema=schema)
    return connection.execute(sa.select(version.c.version_num)).scalar()


def _is_newer(revision: str | None) -> bool:
    return revision is not None and revision > newest()


async def current(store: Store) -> str | None:
    """The revision of the store; None for an empty one.

    Raises:
        StoreUnavailable: it does not answer.
    """
    async with store.reading() as connection:
        return await connection.run_sync(_revision, store.schema)


async def check(store: Store) -> None:
    """Look whether this code can run on the schema: at least `OLDEST`, and of the same generation.

    Raises:
        SchemaMissing: it is too old, or of a later generation.
    """
    revision = await current(store)
    if revision is None or revision < OLDEST or revision[:2] != GENERATION:
        raise SchemaMissing(where=store.where, found=revision or "none", needed=f"{OLDEST} or a later {GENERATION}xx")
