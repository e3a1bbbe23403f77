"""What tables are made of: their catalogue, moments, and the columns that many of them have."""

from __future__ import annotations

from collections import namedtuple
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Dialect, LargeBinary, MetaData, SmallInteger, Table, Text, TypeDecorator

#: Revision of the code that derives columns from documents; raised when it changes, so that rows can be re-derived.
MAPPING = 3

metadata = MetaData()


class UtcTime(TypeDecorator[datetime]):
    """A moment: `timestamptz` on PostgreSQL, fixed-width UTC text (which sorts by time) on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Text on SQLite."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To `2026-05-10T15:04:15.000000Z` on SQLite."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Always aware, in UTC."""
        if value is None:
            return None
        return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)


def state_columns() -> list[Column[Any]]:
    """What every state row has."""
    return [
        Column("version", LargeBinary, nullable=False, comment="Sorts bytewise; the highest version is the row"),
        Column("replaces", LargeBinary, comment="The version that the last write replaced"),
        Column("version_at", UtcTime, comment="The moment of the version on the catalog's clock; null: unknown"),
        Column("deleted_at", UtcTime, comment="Its own tombstone; cascades are computed by the views"),
        Column("mirrored_at", UtcTime, nullable=False, comment="When this row was written"),
        Column("mapping", SmallInteger, nullable=False, comment="Revision of the code that derived the columns"),
        Column("document", Text, comment="The redacted state as canonical JSON; null: only referred to, or deleted"),
    ]


#: Of what a state row has, what whoever writes it says, in the order in which it is said last of all.
STATE = ("version", "version_at", "deleted_at", "document")
#: What the statement fills in.
_FILLED_IN = frozenset({"replaces", "mirrored_at", "mapping"})


def container_columns() -> list[Column[Any]]:
    """Where a thing lives."""
    return [
        Column("container_kind", Text, comment="catalog, project or space"),
        Column("container_id", Text),
    ]


def key_of(table: Table) -> Column[Any]:
    """The column that names a thing in its table, and, beside the version, in its history."""
    return next(iter(table.primary_key))


def written(table: Table) -> tuple[str, ...]:
    """The columns that whoever writes a row says: the key first, of a state what every state has last."""
    names = [column.name for column in table.c if column.name not in _FILLED_IN]
    if "mapping" not in table.c:
        return tuple(names)
    return (*(name for name in names if name not in STATE), *STATE)


def row_of(table: Table, *, partly: bool = False) -> Any:
    """A tuple whose fields are the columns that are written, each by its name: none is forgotten, and none made up.

    Args:
        partly: what is not said is not known, but for the key.
    """
    names = written(table)
    return namedtuple(f"{table.name}_row", names, defaults=[None] * (len(names) - 1) if partly else None)
