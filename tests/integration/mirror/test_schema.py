"""Migrations lead to exactly the tables that the code reads and writes, once, whoever runs them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from service.errors import SchemaMissing, StoreIncomplete, StoreUnavailable
from service.mirror import schema
from service.mirror.search.preparing import ALIKE_INDEX
from service.mirror.search.writing import ALIKE_FTS, WORDS_FTS
from service.mirror.tables import metadata

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror

Opened = Callable[..., AbstractAsyncContextManager["Mirror"]]


def is_ours(name: str | None, *_: Any) -> bool:
    """Whether migrations make it; what search has beside our tables is made by `service.mirror.search.preparing`, and
    parts of tables by `service.mirror.partitions`."""
    told = name or ""
    return not told.startswith((WORDS_FTS, ALIKE_FTS, ALIKE_INDEX)) and not re.search(r"_\d+_\d+(_|$)", told)


def differences(connection: sa.Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True, "include_name": is_ours}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_migrations_lead_to_the_tables_of_the_code(mirror: Mirror) -> None:
    async with mirror.store.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_upgrading_twice_changes_nothing(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.profile())
    before = await mirror.content()

    assert await schema.upgrade(mirror.store) == schema.newest()

    assert await mirror.content() == before
    await schema.check(mirror.store)


async def test_many_replicas_may_upgrade_at_once(empty_store_url: str, opened: Opened) -> None:
    async with opened(empty_store_url, migrate=False) as one, opened(empty_store_url, migrate=False) as two:
        revisions = await asyncio.gather(*(schema.upgrade(mirror.store) for mirror in (one, two, one, two)))

        assert set(revisions) == {schema.newest()}
        assert await one.one("SELECT count(*) FROM alembic_version") == 1


async def test_an_empty_or_too_old_store_waits_and_one_of_a_later_generation_is_refused(
    empty_store_url: str, opened: Opened
) -> None:
    async with opened(empty_store_url, migrate=False) as mirror:
        assert await schema.current(mirror.store) is None
        with pytest.raises(SchemaMissing, match="revision none"):
            await schema.check(mirror.store)

        await schema.upgrade(mirror.store)
        for revision, runs in (("0135", False), ("0136", True), ("0199", True), ("0201", False)):
            await mirror.execute(f"UPDATE alembic_version SET version_num = '{revision}'")
            if runs:
                await schema.check(mirror.store)
            else:
                with pytest.raises(SchemaMissing, match=revision):
                    await schema.check(mirror.store)


async def test_a_table_that_somebody_dropped_is_told_as_such(mirror: Mirror) -> None:
    await mirror.execute("DROP VIEW v1_members", "DROP TABLE members")

    with pytest.raises(StoreIncomplete, match="members") as caught:
        async with mirror.store.writing() as connection:
            await connection.execute(sa.text("SELECT count(*) FROM members"))

    assert "db upgrade" in caught.value.advice()


def test_the_oldest_revision_that_the_code_runs_on_has_all_that_it_names(tmp_path: Path) -> None:
    """A new kind or column makes `schema.OLDEST` the revision that adds it."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/old.db")
    with engine.begin() as connection:
        schema.upgrade_plainly(connection, schema.OLDEST)
        inspector = sa.inspect(connection)
        lacking = [
            f"{table.name}.{column.name}"
            for table in metadata.tables.values()
            for column in table.c
            if not inspector.has_table(table.name)
            or column.name not in {there["name"] for there in inspector.get_columns(table.name)}
        ]
    engine.dispose()
    assert not lacking, f"name the revision that adds {lacking} as schema.OLDEST"


async def test_a_newer_schema_is_not_touched(mirror: Mirror) -> None:
    await mirror.execute("UPDATE alembic_version SET version_num = '0199'")

    await schema.upgrade(mirror.store)

    assert await schema.current(mirror.store) == "0199"


async def test_a_schema_of_its_own_holds_everything(empty_postgres_url: str, opened: Opened, events: Events) -> None:
    async with opened(empty_postgres_url, schema="my_mirror") as mirror:
        await mirror.take(events.profile(), events.lineage())
        await schema.upgrade(mirror.store)

        await schema.check(mirror.store)
        schemas = (
            "SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_schema !~ '^(pg_|information)'"
        )
        assert await mirror.all(schemas) == [("my_mirror",)]
        assert await mirror.one("SELECT count(*) FROM my_mirror.v1_data_profiles") == 1


async def test_two_mirrors_live_in_two_schemas_of_one_database(
    empty_postgres_url: str, opened: Opened, events: Events
) -> None:
    async with (
        opened(empty_postgres_url, schema="one") as one,
        opened(empty_postgres_url, schema="two") as two,
        opened(empty_postgres_url),
    ):
        await one.take(events.profile())

        assert (await one.content())["data_profiles"]
        assert not (await two.content())["data_profiles"]


async def test_a_role_without_the_right_to_create_schemas_uses_one_that_was_made_for_it(
    empty_postgres_url: str, opened: Opened
) -> None:
    role = "mirror_" + empty_postgres_url.rpartition("_")[2][:12]
    async with opened(empty_postgres_url, migrate=False) as owner:
        await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'", f"CREATE SCHEMA mirror AUTHORIZATION {role}")
        url = sa.make_url(empty_postgres_url).set(username=role, password="x").render_as_string(hide_password=False)
        try:
            async with opened(url, schema="mirror") as mirror:
                await schema.check(mirror.store)
            async with opened(url, migrate=False, schema="other") as mirror:
                with pytest.raises(StoreUnavailable, match="permission denied"):
                    await schema.upgrade(mirror.store)
        finally:
            await owner.execute(f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")


async def test_every_view_is_commented_and_named_v1(empty_postgres_url: str, opened: Opened) -> None:
    async with opened(empty_postgres_url) as mirror:
        views = await mirror.all(
            "SELECT relname, obj_description(oid) FROM pg_class "
            "WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"
        )

    assert views
    assert all(name.startswith("v1_") and comment for name, comment in views)


async def test_a_store_is_named_without_its_password(opened: Opened) -> None:
    url = "postgresql://me:hunter2@127.0.0.1:1/db?password=hunter2"
    async with opened(url, migrate=False) as mirror:
        assert "hunter2" not in mirror.store.where
        assert "127.0.0.1:1/db" in mirror.store.where
        with pytest.raises(StoreUnavailable) as caught:
            await schema.current(mirror.store)
    assert "hunter2" not in str(caught.value) + caught.value.advice()
