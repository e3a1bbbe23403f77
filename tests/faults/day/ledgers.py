"""What has to be true after the day, told by what others noted: nothing here asks the product what it thinks.

What has to be told to receivers is noted by a trigger of the database, as it is committed.
"""

from __future__ import annotations

import asyncpg

from tests.faults.day.world import World

_NOTING = """
CREATE TABLE day_told (target text, entity_kind text, entity_id text, event_id text);
CREATE FUNCTION day_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO day_told VALUES (NEW.target, NEW.entity_kind, NEW.entity_id,
    CASE WHEN NEW.target = 'webhook' THEN NEW.document::jsonb ->> 'id' END);
  RETURN NULL;
END $$;
CREATE TRIGGER day_note AFTER INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION day_note();
"""
#: Tables in which work waits: what is done leaves them, so they stay small however long the day is.
_WORK = ("deliveries", "refreshes", "controls", "replicas", "target_states")


async def begin(world: World) -> None:
    """Note from now on what is to be told; the schema has to be there."""
    connection = await asyncpg.connect(world.store_url)
    await connection.execute(_NOTING)
    await connection.close()


async def lost(world: World) -> dict[str, set[str]]:
    """By way, ids of what did not arrive; only those with a loss."""
    connection = await asyncpg.connect(world.store_url)
    try:
        kept = {row[0] for row in await connection.fetch("SELECT event_id FROM lineage_events")}
        own = {row[0] for row in await connection.fetch("SELECT event_id FROM lineage_events WHERE own")}
        due = await connection.fetch("SELECT event_id FROM day_told WHERE target = 'webhook'")
    finally:
        await connection.close()
    received = {body["event_details"]["event_id"] for body in world.pocket.received_lineage()}
    forwarded = {event["run"]["runId"] for event in world.backend.events}
    changes = {event["id"] for event in world.receiver.events}
    found = {
        "lineage that was published": world.noted.published - kept,
        "lineage that was posted": world.noted.taken - kept,
        "lineage of ours at the catalog": own - received,
        "lineage that was posted at the backend": world.noted.taken - forwarded,
        "changes at the webhook": {row[0] for row in due} - changes,
    }
    return {way: ids for way, ids in found.items() if ids}


async def dead(world: World) -> list[str]:
    """Causes of dead letters, but for those of messages that nobody can read."""
    connection = await asyncpg.connect(world.store_url)
    try:
        return [
            f"{number} × {told}"
            for number, told in await connection.fetch(
                "SELECT count(*), concat_ws(' ', target, error_class, min(reason)) FROM dead_letters"
                " WHERE routing_key IS DISTINCT FROM 'v2.data_profiles.poison.PATCH' GROUP BY target, error_class"
            )
        ]
    finally:
        await connection.close()


async def poisoned(world: World) -> int:
    """Dead letters of messages that nobody can read."""
    connection = await asyncpg.connect(world.store_url)
    try:
        query = "SELECT count(*) FROM dead_letters WHERE routing_key = 'v2.data_profiles.poison.PATCH'"
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


async def work_bytes(world: World) -> int:
    """Bytes on disk of the tables in which work waits, with their indexes."""
    connection = await asyncpg.connect(world.store_url)
    try:
        sizes = [await connection.fetchval("SELECT pg_total_relation_size($1::regclass)", table) for table in _WORK]
        return sum(sizes)
    finally:
        await connection.close()
