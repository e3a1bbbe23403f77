"""Databases that tests are lent: emptied for whoever comes next, and dropped where more than rows was changed."""

from __future__ import annotations

import asyncpg
import pytest

from tests.databases import Databases

ROW = "INSERT INTO assets (asset_id, version, mirrored_at, mapping) VALUES ('a', '1', now(), 2)"


async def test_rows_are_gone_for_whoever_comes_next(databases: Databases) -> None:
    with databases.lent() as first:
        left = await asyncpg.connect(first)  # nobody closes it
        await left.execute(ROW)
    assert left.is_closed() or not await _answers(left)
    with databases.lent() as second:
        assert second == first
        connection = await asyncpg.connect(second)
        assert await connection.fetchval("SELECT count(*) FROM assets") == 0
        await connection.close()


@pytest.mark.parametrize(
    "change",
    ["CREATE TABLE another (a int)", "ANALYZE assets", "DROP VIEW v1_members", "GRANT SELECT ON assets TO public"],
)
async def test_one_in_which_more_was_changed_is_lent_to_nobody(databases: Databases, change: str) -> None:
    with databases.lent() as first:
        connection = await asyncpg.connect(first)
        await connection.execute(ROW)
        await connection.execute(change)
        await connection.close()
    with databases.lent() as second:
        assert second != first


async def _answers(connection: asyncpg.Connection) -> bool:
    try:
        await connection.execute("SELECT 1")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return False
    return True
