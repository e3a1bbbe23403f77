"""Whether a run did its work: what lies in the store afterwards is what the events say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import asyncpg
import sqlalchemy as sa

from benchmarks import broker
from benchmarks.events import Load

_PROFILES = sa.text("SELECT profile_id, version_at, document FROM data_profiles WHERE document IS NOT NULL")
#: Less than any document of the load could have.
_LEAST_DOCUMENT = 2000


async def until_delivered(store: str) -> None:
    """Wait until the service has no delivery left."""
    connection = await asyncpg.connect(store)

    async def none_left() -> bool:
        return not await connection.fetchval("SELECT count(*) FROM deliveries")

    try:
        await broker.until(none_left, "all deliveries are delivered")
    finally:
        await connection.close()


def wrong_rows(store: str, load: Load, is_service: bool, answers: bool, tells: bool = False) -> list[str]:
    """What is not as it should be, in words; blocks."""
    driver = "sqlite" if store.startswith("sqlite") else "postgresql+psycopg"
    engine = sa.create_engine(sa.make_url(store).set(drivername=driver))
    try:
        with engine.connect() as connection:
            wrong = [_profiles(connection, load), _number(connection, "assets", len(load.datasets))]
            answered = len(load.samples) if answers else 0
            if is_service or answers:
                wrong.append(_number(connection, "lineage_events", answered))
            if is_service:
                wrong += [_number(connection, table, 0) for table in ("dead_letters", "deliveries", "refreshes")]
                delivered = connection.scalar(sa.text("SELECT coalesce(sum(delivered), 0) FROM target_states"))
                if tells and delivered < len(load.newest):
                    wrong.append(f"{delivered} deliveries counted, fewer than there are profiles")
                elif not tells and delivered != answered:
                    wrong.append(f"{delivered} deliveries counted, not {answered}")
    finally:
        engine.dispose()
    return [problem for problem in wrong if problem]


def _number(connection: sa.Connection, table: str, wanted: int) -> str:
    found = connection.scalar(sa.select(sa.func.count()).select_from(sa.table(table)))
    return "" if found == wanted else f"{table} has {found} rows instead of {wanted}"


def _profiles(connection: sa.Connection, load: Load) -> str:
    rows = connection.execute(_PROFILES).all()
    found = {row.profile_id: _moment(row.version_at) for row in rows}
    if found != load.newest:
        same = sum(found.get(profile_id) == moment for profile_id, moment in load.newest.items())
        return f"{len(found)} profiles, {same} of {len(load.newest)} in their newest state"
    short = sum(len(row.document) < _LEAST_DOCUMENT for row in rows)
    return f"{short} documents are too short" if short else ""


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC)
