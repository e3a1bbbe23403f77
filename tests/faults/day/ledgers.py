"""What has to be true after the day, told by what others noted: nothing here asks the product what it thinks.

What has to be told to receivers is noted by a trigger of the database, as it is committed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from tests.faults.day.world import World

_NOTING = """
CREATE TABLE day_told (event_id text);
CREATE FUNCTION day_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO day_told VALUES (NEW.document::jsonb ->> 'id');
  RETURN NULL;
END $$;
CREATE TRIGGER day_note AFTER INSERT ON deliveries
  FOR EACH ROW WHEN (NEW.target = 'webhook') EXECUTE FUNCTION day_note();
"""
#: Tables in which work waits: what is done leaves them, so they stay small however long the day is.
_WORK = ("deliveries", "refreshes", "controls", "replicas", "target_states")


#: Routing key of messages that nobody can read.
_POISON = "routing_key IS NOT DISTINCT FROM 'v2.data_profiles.poison.PATCH'"


async def begin(world: World) -> None:
    """Note from now on what is to be told; the schema has to be there."""
    async with _connected(world) as connection:
        await connection.execute(_NOTING)


async def lost(world: World) -> dict[str, set[str]]:
    """By way, ids of what did not arrive; only those with a loss."""
    kept = await _column(world, "SELECT event_id FROM lineage_events")
    own = await _column(world, "SELECT event_id FROM lineage_events WHERE own")
    due = await _column(world, "SELECT event_id FROM day_told")
    received = {body["event_details"]["event_id"] for body in world.pocket.received_lineage()}
    forwarded = {event["run"]["runId"] for event in world.backend.events}
    changes = {event["id"] for event in world.receiver.events}
    found = {
        "lineage that was published": world.noted.published - kept,
        "lineage that was posted": world.noted.taken - kept,
        "lineage of ours at the catalog": own - received,
        "lineage that was posted at the backend": world.noted.taken - forwarded,
        "changes at the webhook": due - changes,
    }
    return {way: ids for way, ids in found.items() if ids}


async def dead(world: World) -> set[str]:
    """Causes of dead letters, each with their number, but for those of messages that nobody can read."""
    cause = "count(*) || ' × ' || concat_ws(' ', target, error_class, min(reason))"
    return await _column(world, f"SELECT {cause} FROM dead_letters WHERE NOT {_POISON} GROUP BY target, error_class")


async def poisoned(world: World) -> int:
    """Dead letters of messages that nobody can read."""
    return sum(await _column(world, f"SELECT count(*) FROM dead_letters WHERE {_POISON}"))


async def work_bytes(world: World) -> int:
    """Bytes on disk of the tables in which work waits, with their indexes."""
    sizes = " + ".join(f"pg_total_relation_size('{table}')" for table in _WORK)
    return sum(await _column(world, f"SELECT {sizes}"))


async def _column(world: World, query: str) -> set[Any]:
    async with _connected(world) as connection:
        return {row[0] for row in await connection.fetch(query)}


@asynccontextmanager
async def _connected(world: World) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(world.store_url)
    try:
        yield connection
    finally:
        await connection.close()
