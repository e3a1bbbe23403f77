"""Ends sessions of ours that PostgreSQL waits for in the midst of a statement, as their replica was cut off there.

Between the messages of one statement a session counts as active, so `idle_in_transaction_session_timeout` does not end
it, and of another replica's connection that does not close nothing is heard for hours (PostgreSQL 15; its
`transaction_timeout` came with 17). Until then it holds what it has locked.
"""

from __future__ import annotations

import sqlalchemy as sa
import structlog

from service.mirror.store import APPLICATION, Store

log = structlog.get_logger(__name__)

#: Whoever is the same role may end them. A replica that is well sends a statement whole, and gives it up after as long.
_END = sa.text("""
    SELECT pid, pg_terminate_backend(pid)
      FROM pg_stat_activity
     WHERE datname = current_database() AND usename = current_user AND application_name = :application
       AND pid <> pg_backend_pid() AND state = 'active' AND wait_event = 'ClientRead'
       AND state_change < clock_timestamp() - make_interval(secs => :seconds)
""")


async def end_stalled(store: Store) -> None:
    """End those that have been waited for longer than a statement may take.

    Raises:
        SQLAlchemyError and what else a store raises.
    """
    if store.dialect != "postgresql":
        return
    async with store.read() as connection:
        ended = (await connection.execute(_END, {"application": APPLICATION, "seconds": store.timeout_s})).all()
    if ended:
        log.warning("stalled_sessions_ended", number=len(ended), advice="Another replica was cut off in their midst.")
