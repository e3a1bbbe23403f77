"""The store's own clock, in SQL: replicas and the store may disagree on the time, so one of them is asked."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from service.mirror.tables import UtcTime


def store_now(dialect: str) -> sa.ColumnElement[datetime]:
    """This moment."""
    if dialect == "sqlite":
        return sa.literal_column("strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'", UtcTime)
    return sa.func.clock_timestamp(type_=UtcTime)


def store_later(dialect: str, seconds: float) -> sa.ColumnElement[datetime]:
    """Some seconds from now (negative: before now)."""
    if dialect == "sqlite":
        moment = f"strftime('%Y-%m-%dT%H:%M:%f', 'now', '{seconds:+.3f} seconds') || '000Z'"
        return sa.literal_column(moment, UtcTime)
    return sa.literal_column(f"clock_timestamp() + interval '{seconds:.3f} seconds'", UtcTime)
