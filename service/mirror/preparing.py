"""Statements that PostgreSQL keeps prepared: the second time one is not read again, and takes one round trip, not two.

A prepared statement belongs to a session. A pooler in transaction mode gives sessions from hand to hand, so behind one
nothing may be kept (PgBouncer before 1.21), and each statement is prepared without a name. That a pooler stands
between is seen by the key to cancel statements with, which the server makes of its process's id, and a pooler of its
own.

What is kept is the statement, not its plan, unless `keep_plans` says so: a plan for any value is bad for searches,
and one that was made while a table was empty stays until its statistics are made anew.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import asyncpg
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import await_only

log = structlog.get_logger(__name__)

#: Statements that a session keeps at most; of those that are rarely the same, the oldest go.
_KEPT = 100
_NUMBERS = count(1)
#: What SQLAlchemy's dialect is to be told: a name makes a statement stay.
_KEEP = {"prepared_statement_cache_size": _KEPT, "prepared_statement_name_func": lambda: f"mirror_{next(_NUMBERS)}"}
_KEEP_NOTHING = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}

_KEEP_PLANS = sa.text("SET LOCAL plan_cache_mode = auto")


class Preparing:
    """Connects so that statements are kept where they may be; the last to listen to an engine's `do_connect`.

    Args:
        idle_s: seconds after which the server ends a transaction in which nothing happens, and gives up its locks:
            whoever stalls, or is cut off, in the midst of one would keep others from its rows for hours. None: never.
    """

    def __init__(self, idle_s: float | None) -> None:
        self._idle_ms = int(idle_s * 1000) if idle_s is not None else 0
        self._is_pooled = False

    def __call__(self, dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> Any:
        """A connection that keeps its statements, or None for the engine to make one that does not."""
        if not self._is_pooled:
            parameters.update(_KEEP)
            connection = dialect.connect(*arguments, **parameters)
            if _is_ours_alone(connection, self._idle_ms):
                return connection
            connection.close()
            self._is_pooled = True
            log.info("store_behind_pooler", told="statements are prepared anew each time")
        parameters.update(_KEEP_NOTHING)
        return None


def _is_ours_alone(connection: Any, idle_ms: int) -> bool:
    """Whether the session is ours as long as the connection is; has it plan for the values of each time.

    Raises:
        OSError: the connection broke meanwhile. What the driver raises is no error of SQLAlchemy's here.
    """
    try:
        return bool(await_only(_made_ready(connection.driver_connection, idle_ms)))
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        connection.terminate()
        raise ConnectionError(str(error)) from error
    except BaseException:
        connection.terminate()
        raise


async def _made_ready(driver: Any, idle_ms: int) -> bool:
    async with driver.transaction():
        is_direct = await driver.fetchval("SELECT pg_backend_pid()") == driver.get_server_pid()
    if is_direct:
        idle = f"SET idle_in_transaction_session_timeout = {idle_ms}"
        await driver.execute(f"SET plan_cache_mode = force_custom_plan; {idle}")
    return bool(is_direct)


async def keep_plans(connection: AsyncConnection) -> None:
    """For the rest of a transaction that asks by keys, with statements whose planning takes longer than they do."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_KEEP_PLANS)
