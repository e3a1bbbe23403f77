"""Who was forgotten and is not to come back: salted hashes in the store, which every process has in memory."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_hex
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror import controls
from service.mirror.bulk import among, insert_into
from service.mirror.clock import store_now
from service.mirror.store import Store
from service.mirror.tables import forgotten
from service.text.forgotten import Forgotten, Person

#: The control with the salt of the hashes, and how many times the list has changed.
CONTROL = "forgotten"


async def follow(connection: AsyncConnection, known: Forgotten, told: Any) -> None:
    """Have in memory whom the store holds; `told`: the control as it stands, None where nobody was ever forgotten."""
    if told and told["generation"] != known.generation:
        hashes = (await connection.execute(sa.select(forgotten.c.name_hash))).scalars().all()
        known.learn(bytes.fromhex(told["salt"]), hashes, told["generation"])


async def load(store: Store) -> None:
    """The same for a process that begins."""
    async with store.reading() as connection:
        await follow(connection, store.forgotten, await controls.read_control(connection, CONTROL))


async def salt_of(connection: AsyncConnection) -> bytes:
    """The salt of this store, made when it is first asked for."""
    await controls.set_once(connection, CONTROL, {"salt": token_hex(32), "generation": 0})
    told = await controls.read_control(connection, CONTROL)
    return bytes.fromhex(told["salt"])


async def hold(connection: AsyncConnection, person: Person) -> Sequence[str]:
    """Hold somebody from now on; answers the hashes. Replicas know with their next heartbeat."""
    salt = await salt_of(connection)
    hashes = person.hashes(salt)
    insert = insert_into(connection.dialect.name, forgotten)
    now = store_now(connection.dialect.name)
    for one in hashes:
        values = insert.values(name_hash=one, forgotten_at=now)
        await connection.execute(values.on_conflict_do_nothing(index_elements=["name_hash"]))
    told = await controls.read_control(connection, CONTROL)
    await controls.set_control(connection, CONTROL, told | {"generation": told["generation"] + 1})
    return hashes


async def is_held(connection: AsyncConnection, person: Person) -> bool:
    """Whether somebody is held by all these names."""
    told = await controls.read_control(connection, CONTROL)
    if told is None:
        return False
    hashes = person.hashes(bytes.fromhex(told["salt"]))
    query = sa.select(sa.func.count()).where(among(connection, forgotten.c.name_hash, hashes))
    return int((await connection.execute(query)).scalar_one()) == len(hashes)
