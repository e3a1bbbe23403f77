"""Databases as companies run them: a role that may not change the schema, readers that take their time, own CAs."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic import command
from pydantic import SecretStr

from sandbox.parts.place import own_directory, unprivileged_user
from sandbox.parts.postgres import PrivatePostgres
from sandbox.parts.tls import Certificates
from service.errors import SchemaLocked, StoreUnavailable
from service.mirror import indexes, patience, schema
from service.mirror.store import Store
from service.mirror.tables import metadata
from service.settings.model import StoreSettings, load
from tests.databases import leaving_no_socket

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror

Opened = Callable[..., Any]


def as_role(url: str, role: str) -> str:
    return sa.make_url(url).set(username=role, password="x").render_as_string(hide_password=False)


@pytest.fixture
async def roles(empty_postgres_url: str, opened: Opened) -> AsyncIterator[tuple[str, str]]:
    """Two roles of the database, as URLs: one that may make a schema, and one that may do nothing yet."""
    database = sa.make_url(empty_postgres_url).database
    owner, runner = f"owner_{database}"[:40], f"runner_{database}"[:40]
    async with opened(empty_postgres_url, migrate=False) as admin:
        await admin.execute(
            f"CREATE ROLE {owner} LOGIN PASSWORD 'x'",
            f"CREATE ROLE {runner} LOGIN PASSWORD 'x'",
            f"GRANT CREATE ON DATABASE {database} TO {owner}",
        )
        try:
            yield as_role(empty_postgres_url, owner), as_role(empty_postgres_url, runner)
        finally:
            await admin.execute(*(f"DROP OWNED BY {role} CASCADE" for role in (owner, runner)))
            await admin.execute(*(f"DROP ROLE {role}" for role in (owner, runner)))


def both(roles: tuple[str, str]) -> StoreSettings:
    return StoreSettings.model_validate({"url": roles[1], "migration_url": roles[0], "schema": "catalog_mirror"})


async def test_the_role_that_runs_gets_the_rows_and_never_the_schema(
    roles: tuple[str, str], opened: Opened, events: Events
) -> None:
    await schema.migrate(both(roles))
    async with opened(roles[1], migrate=False, schema="catalog_mirror") as mirror:
        await schema.check(mirror.store)
        await mirror.take(events.profile(), events.lineage())
        assert await mirror.one("SELECT count(*) FROM catalog_mirror.v1_data_profiles") == 1
        for forbidden in (
            "CREATE TABLE catalog_mirror.mine (x int)",
            "ALTER TABLE catalog_mirror.assets ADD COLUMN x int",
            "DROP TABLE catalog_mirror.assets",
            "DELETE FROM catalog_mirror.audit_log",
            "UPDATE catalog_mirror.alembic_version SET version_num = '0'",
        ):
            with pytest.raises(sa.exc.DBAPIError, match=r"permission denied|must be owner"):
                await mirror.execute(forbidden)


async def test_the_running_role_cannot_migrate_and_says_so(roles: tuple[str, str], opened: Opened) -> None:
    async with opened(roles[1], migrate=False, schema="catalog_mirror") as mirror:
        with pytest.raises(StoreUnavailable, match="permission denied"):
            await schema.upgrade(mirror.store)


async def test_rights_are_given_also_where_there_is_nothing_to_migrate(
    roles: tuple[str, str], opened: Opened, events: Events
) -> None:
    async with opened(roles[0], schema="catalog_mirror"):
        pass
    await schema.migrate(both(roles))
    async with opened(roles[1], migrate=False, schema="catalog_mirror") as mirror:
        await mirror.take(events.profile())


async def test_a_pooler_in_transaction_mode_may_stand_before_all_of_it(
    empty_postgres_url: str, pgbouncer: Any, opened: Opened, events: Events
) -> None:
    pooled = pgbouncer.through(empty_postgres_url)
    async with opened(pooled, schema="catalog_mirror") as one, opened(pooled, schema="catalog_mirror") as two:
        await asyncio.gather(
            *(mirror.take(events.profile(), events.lineage()) for mirror in (one, two) for _ in range(5))
        )
        assert await schema.upgrade(two.store) == schema.newest()
        assert await one.one("SELECT count(*) FROM catalog_mirror.v1_data_profiles") == 1


async def test_each_role_rotates_by_its_own_file(
    roles: tuple[str, str], empty_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, migration = tmp_path / "url", tmp_path / "migration-url"
    runtime.write_text(roles[1])
    migration.write_text(roles[0])
    monkeypatch.setenv("CATALOG_MIRROR_STORE__URL_FILE", str(runtime))
    monkeypatch.setenv("CATALOG_MIRROR_STORE__MIGRATION_URL_FILE", str(migration))
    store = Store(load().store, migrating=True)

    async def user() -> str | None:
        await store.engine.dispose()  # the next connection is a new one
        async with store.read() as connection:
            return str((await connection.execute(sa.text("SELECT current_user"))).scalar_one())

    assert await user() == sa.make_url(roles[0]).username
    runtime.write_text(empty_postgres_url)
    assert await user() == sa.make_url(roles[0]).username, "the running role's rotation is none of ours"
    migration.write_text(empty_postgres_url)
    assert await user() == sa.make_url(empty_postgres_url).username
    await store.close()


async def test_a_long_reader_neither_fails_a_migration_nor_has_everybody_wait_behind_it(
    mirror_at_0102: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOCK_TIMEOUT_MS", 200)
    monkeypatch.setattr(patience, "LOCK_PAUSE_S", 0.2)
    store = mirror_at_0102.store
    async with store.engine.connect() as reader:
        await reader.execute(sa.text("SELECT count(*) FROM dead_letters"))  # a report, its transaction left open
        migrating = asyncio.create_task(schema.upgrade(store))
        for _ in range(5):
            async with asyncio.timeout(2):
                await mirror_at_0102.one("SELECT count(*) FROM dead_letters")
            await asyncio.sleep(0.2)
        assert not migrating.done()
        assert await schema.current(store) == "0102"
        await reader.rollback()
    assert await migrating == schema.newest()


async def test_a_migration_that_meets_somebody_half_way_is_tried_again(
    mirror_at_0102: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has a table that the migration wants, and wants one that it has: PostgreSQL ends one of the two.

    It ends whoever has waited for `deadlock_timeout` when both wait: that has to be the migration, however slow we are.
    """
    monkeypatch.setattr(patience, "LOCK_TIMEOUT_MS", 20_000)
    monkeypatch.setattr(patience, "LOCK_PAUSE_S", 0.1)
    store = mirror_at_0102.store
    database = await mirror_at_0102.one("SELECT current_database()")
    await mirror_at_0102.execute(f"ALTER DATABASE \"{database}\" SET deadlock_timeout = '5s'")
    await store.engine.dispose()
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'dead_letters'::regclass"
    async with store.engine.connect() as other:
        await other.execute(sa.text("SET deadlock_timeout = '60s'"))
        await other.execute(sa.text("LOCK TABLE dead_letters IN SHARE MODE"))
        migrating = asyncio.create_task(schema.upgrade(store))
        async with asyncio.timeout(10):
            while not await mirror_at_0102.one(waiting):
                await asyncio.sleep(0.02)
        await other.execute(sa.text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        await other.rollback()
    assert await migrating == schema.newest()


async def test_a_reader_that_never_ends_is_named(mirror_at_0102: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LOCK_TIMEOUT_MS", 100)
    monkeypatch.setattr(patience, "LOCK_PATIENCE_S", 0.0)
    store = mirror_at_0102.store
    async with store.engine.connect() as reader:
        pid = await reader.execute(sa.text("SELECT pg_backend_pid() FROM dead_letters RIGHT JOIN (SELECT 1) x ON true"))
        with pytest.raises(SchemaLocked, match=f"session {pid.scalar_one()} of mirror"):
            await schema.upgrade(store)
        await reader.rollback()
    assert await schema.current(store) == "0102", "nothing was changed"


_INDEXES = "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"


async def test_an_index_of_a_table_with_rows_is_built_beside_whoever_writes(
    empty_postgres_url: str, opened: Opened
) -> None:
    asset = "INSERT INTO assets (asset_id, version, mirrored_at, mapping) VALUES ('{}', '1', now(), 2)"
    async with opened(empty_postgres_url, migrate=False) as mirror:
        await upgrade_to(mirror.store, "0110")
        await mirror.execute(asset.format("a1"))
        async with mirror.store.engine.connect() as writer:
            await upgrade_to(mirror.store, schema.newest())
            assert "assets_name" not in dict(await mirror.all(_INDEXES))
            await writer.execute(sa.text(asset.format("a2")))  # its transaction stays open: the build waits for it
            building = asyncio.create_task(schema.upgrade(mirror.store))
            await asyncio.sleep(0.5)
            assert not building.done()
            async with asyncio.timeout(2):
                await mirror.execute(asset.format("a3"))  # nobody waits for the build
                await schema.upgrade(
                    mirror.store
                )  # nor does another replica, which two builds at once would hold for good
            assert not building.done()
            await writer.commit()
        await building
        declared = {str(index.name) for table in metadata.sorted_tables for index in table.indexes}
        there = dict(await mirror.all(_INDEXES))
        assert all(there.get(name) for name in declared)


async def test_an_index_whose_build_was_interrupted_is_built_anew(mirror_on_postgresql: Mirror) -> None:
    await mirror_on_postgresql.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'dead_letters_state'::regclass"
    )
    await schema.upgrade(mirror_on_postgresql.store)
    assert dict(await mirror_on_postgresql.all(_INDEXES))["dead_letters_state"]
    assert await indexes.build_missing(mirror_on_postgresql.store) == []


@pytest.fixture
async def mirror_on_postgresql(postgres_url: str, opened: Opened) -> AsyncIterator[Mirror]:
    async with opened(postgres_url) as mirror:
        yield mirror


@pytest.fixture
async def mirror_at_0102(empty_postgres_url: str, opened: Opened) -> AsyncIterator[Mirror]:
    """A mirror whose schema is a revision behind, so that there is something to migrate."""
    async with opened(empty_postgres_url, migrate=False) as mirror:
        await upgrade_to(mirror.store, "0102")
        yield mirror


async def upgrade_to(store: Store, revision: str) -> None:
    def run(connection: sa.Connection) -> None:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async with store.write() as connection:
        await connection.run_sync(run)


@pytest.fixture(scope="module")
def tls_postgres(certificates: Certificates) -> Iterator[PrivatePostgres]:
    """A cluster that speaks TLS with the certificate of the company's CA."""
    if not PrivatePostgres.installed() and "CI" not in os.environ:
        pytest.skip("PostgreSQL is not installed")
    user = unprivileged_user("postgres")
    place = own_directory("tls", user)  # where the server may read
    try:
        for path in (certificates.key, certificates.certificate):
            shutil.copy(path, place / path.name)
            (place / path.name).chmod(0o600)
            if user:
                shutil.chown(place / path.name, user)
        files = {"ssl_cert_file": f"{place}/server.pem", "ssl_key_file": f"{place}/server.key"}
        with PrivatePostgres(settings={"ssl": "on", **files}) as server:
            yield server
    finally:
        shutil.rmtree(place)


async def test_the_database_is_believed_by_a_ca_of_ones_own_only(
    tls_postgres: PrivatePostgres, certificates: Certificates
) -> None:
    url = SecretStr(tls_postgres.url)
    trusting = Store(StoreSettings(url=url, ca_file=certificates.ca))
    try:
        async with trusting.read() as connection:
            encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert (await connection.execute(sa.text(encrypted))).scalar_one() is True
    finally:
        await trusting.close()
    strange = Store(StoreSettings(url=url, ca_file=certificates.stranger))
    async with leaving_no_socket():
        with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await strange.check()
        await strange.close()
