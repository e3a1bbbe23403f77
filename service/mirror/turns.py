"""Taking turns at what is not in the store: replicas that change the broker's bindings at once may undo each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa
import structlog

from service.mirror.store import Store

log = structlog.get_logger(__name__)

#: Names the advisory lock of whoever changes queues and bindings, together with the schema.
TOPOLOGY = 728_341_204
#: Whether we have a lock of that name in that schema now. It is kept by a transaction, not by a session, which a pooler
#: would hand to others.
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(:lock, hashtext(coalesce(CAST(:schema AS text), current_schema())))"
#: A broker takes its time; whoever stands still for longer loses the turn.
_IDLE = "SET LOCAL idle_in_transaction_session_timeout = '60s'"
#: Seconds between two attempts, and after which we go on all the same: whoever has the turn may stand still.
LOOK_S, PATIENCE_S = 0.1, 20.0


@asynccontextmanager
async def turn(store: Store, lock: int = TOPOLOGY) -> AsyncIterator[None]:
    """Our turn, as long as the block runs; at a store in SQLite, which has one replica, it is always ours.

    Raises:
        StoreUnavailable: the store is away, or took our turn from us as we stood still for a minute.
    """
    if store.dialect != "postgresql":
        yield
        return
    failure: Exception | None = None
    async with store.translated(), store.engine.begin() as connection:
        deadline = time.monotonic() + PATIENCE_S
        asked = sa.text(TRY_LOCK), {"lock": lock, "schema": store.schema}
        while not (await connection.execute(*asked)).scalar_one():
            if time.monotonic() >= deadline:
                log.warning("turn_not_awaited", advice="Another replica has stood still in the midst of its own.")
                break
            await asyncio.sleep(LOOK_S)
        await connection.execute(sa.text(_IDLE))
        try:
            yield
        except Exception as error:  # noqa: BLE001 (raised below)
            failure = error  # not the store's, however alike a lost link of the broker looks
    if failure is not None:
        raise failure
