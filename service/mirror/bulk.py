"""Bulk writes: many rows in one statement, by the quickest way of each dialect.

PostgreSQL takes one array per column (`unnest`), or one JSON text where values are many and short: one statement of
fixed text, whatever the number of rows. SQLite takes SQLAlchemy's batched `VALUES`. Both are `INSERT … ON CONFLICT`, so
they behave the same; statements are built once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import Grouping

from service.changes import DIGEST_AT, RANK_AT
from service.mirror.clock import store_later, store_now
from service.mirror.tables import MAPPING, key_of, written
from service.text.documents import canonical

#: Rows that one statement of SQLite may take: its variables are limited to 32,766.
_SQLITE_VARIABLES = 30_000

#: Rows that one JSON text holds at most.
_JSON_ROWS = 20_000

Conflict = Literal["nothing", "newer"]


@dataclass(frozen=True)
class BulkInsert:
    """An insert of many rows into one table.

    Args:
        columns: the columns that rows carry, in their order.
        key: the columns of the conflict.
        on_conflict: `nothing` leaves the row that is there; `newer` replaces it if the version is higher, and keeps
            the replaced version in `replaces`.
        returning: columns told of each row that was written.
        defaults: columns that the statement fills itself.
        keep_if: rows with this true column are never replaced.
        as_json: send rows as JSON texts, which for many short values is less work for us than arrays are.
        shared: columns that have one value for all rows, which is sent once.
        asks: what else is told of each row that was written.
        later: columns that are so many seconds from now on the store's clock.
    """

    table: sa.Table
    columns: tuple[str, ...]
    key: tuple[str, ...]
    on_conflict: Conflict
    returning: tuple[str, ...] = ()
    clocked: tuple[str, ...] = ()
    constants: dict[str, Any] = field(default_factory=dict)
    keep_if: str | None = None
    as_json: bool = False
    shared: tuple[str, ...] = ()
    asks: tuple[sa.ColumnElement[Any], ...] = ()
    later: tuple[tuple[str, float], ...] = ()

    async def run(self, connection: AsyncConnection, rows: Sequence[tuple[Any, ...]], *shared: Any) -> list[Any]:
        """Insert the rows, sorted by key as all writers do, and return what was written; `shared` as declared."""
        if not rows:
            return []
        rows = sorted(rows, key=self._key_of)
        parameters: Callable[[Sequence[tuple[Any, ...]], tuple[Any, ...]], Any]
        if connection.dialect.name == "postgresql":
            # The JSON text of many rows would be held three times over.
            statement, parameters, size = self._postgresql, self._parameters, _JSON_ROWS if self.as_json else len(rows)
        else:
            statement, parameters = self._sqlite, self._dicts
            size = max(1, _SQLITE_VARIABLES // (len(self.columns) + len(self.constants) + len(self.shared)))
        written: list[Any] = []
        for start in range(0, len(rows), size):
            result = await connection.execute(statement, parameters(rows[start : start + size], shared))
            written += result.all() if self.returning else []
        return written

    @cached_property
    def _key_of(self) -> Callable[[tuple[Any, ...]], Any]:
        return itemgetter(*map(self.columns.index, self.key))

    def _dicts(self, rows: Sequence[tuple[Any, ...]], shared: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        names = (*self.columns, *self.shared)
        return [dict(zip(names, (*row, *shared), strict=True)) for row in rows]

    def _parameters(self, rows: Sequence[tuple[Any, ...]], shared: tuple[Any, ...] = ()) -> dict[str, Any]:
        if self.as_json:
            told = [
                {name: value for name, value in zip(self.columns, row, strict=True) if value is not None}
                for row in rows
            ]
            return {"rows": canonical(told).decode()}
        columns = zip(*rows, strict=True)
        alike = zip(self.shared, shared, strict=True)
        return dict(zip(self.columns, (_told(values) for values in columns), strict=True)) | dict(alike)

    def _incoming(self) -> Any:
        """The rows as PostgreSQL unpacks them."""
        columns = [self.table.c[name] for name in self.columns]
        if self.as_json:
            rows = sa.func.json_to_recordset(sa.cast(sa.bindparam("rows", type_=sa.Text), sa.JSON(none_as_null=True)))
            told = rows.table_valued(*(sa.column(column.name, column.type) for column in columns), name="incoming")
            return told.render_derived(with_types=True)
        arrays = sa.select(*(sa.func.unnest(_array_of(column)).label(column.name) for column in columns))
        padded = arrays.subquery("padded")
        values = [sa.func.coalesce(padded.c[column.name], _only(column)).label(column.name) for column in columns]
        return sa.select(*values).subquery("incoming")

    @cached_property
    def _postgresql(self) -> Any:
        incoming = self._incoming()
        selected: list[Any] = [incoming.c[name] for name in self.columns]
        selected += [sa.bindparam(name, type_=self.table.c[name].type) for name in self.shared]
        selected += self._times("postgresql")
        selected += [sa.literal(value, self.table.c[name].type) for name, value in self.constants.items()]
        source = sa.select(*selected)
        if self.on_conflict == "newer":
            source = source.where(~self._is_there_already(incoming))
        # Locks are taken in this order, that of Python, whatever plan the anti-join gets and whatever the locale is.
        source = source.order_by(*(as_python_sorts(incoming.c[name]) for name in self.key))
        names = [*self.columns, *self.shared, *self._timed, *self.constants]
        return self._finish(postgresql.insert(self.table).from_select(names, source, include_defaults=False))

    @property
    def _timed(self) -> tuple[str, ...]:
        """Columns that the store's clock fills."""
        return *self.clocked, *(name for name, _ in self.later)

    def _times(self, dialect: str) -> list[Any]:
        """What it fills them with."""
        later = [store_later(dialect, seconds) for _, seconds in self.later]
        return [*(store_now(dialect) for _ in self.clocked), *later]

    def _is_there_already(self, incoming: sa.Subquery) -> sa.ColumnElement[bool]:
        """A row that is not older: looked at first, since ON CONFLICT would lock (and write) it to find out.

        As a value, not as a join: of a table in parts PostgreSQL thinks that each key is sought in all of them, so it
        would rather read the whole table for each batch.
        """
        there = self.table.alias("there")
        same = [there.c[name] == incoming.c[name] for name in self.key]
        version = sa.select(there.c.version).where(*same).scalar_subquery()
        return sa.func.coalesce(version >= incoming.c.version, sa.false())

    @cached_property
    def _sqlite(self) -> Any:
        values: dict[str, Any] = {name: sa.bindparam(name) for name in (*self.columns, *self.shared)}
        values |= dict(zip(self._timed, self._times("sqlite"), strict=True))
        values |= {name: sa.literal(value, self.table.c[name].type) for name, value in self.constants.items()}
        return self._finish(sqlite.insert(self.table).values(values))

    def _finish(self, insert: Any) -> Any:
        if self.on_conflict == "nothing":
            statement = insert.on_conflict_do_nothing(index_elements=list(self.key))
        else:
            names = [*self.columns, *self.shared, *self._timed, *self.constants]
            new = {name: insert.excluded[name] for name in names if name not in self.key}
            condition = insert.excluded.version > self.table.c.version
            if self.keep_if:
                condition = sa.and_(condition, sa.not_(self.table.c[self.keep_if]))
            statement = insert.on_conflict_do_update(
                index_elements=list(self.key), set_=new | {"replaces": self.table.c.version}, where=condition
            )
        told = (*(self.table.c[name] for name in self.returning), *self.asks)
        return statement.returning(*told) if told else statement


def _array_of(column: sa.Column[Any]) -> sa.BindParameter[Any]:
    return sa.bindparam(column.name, type_=postgresql.ARRAY(column.type))


def _only(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """What all rows say in this column, where it is sent once."""
    one: sa.ColumnElement[int] = sa.literal_column("1")
    sent = _array_of(column)
    return sa.case((sa.func.cardinality(sent) == one, Grouping(sent)[one]))


def _told(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values of one column; of values that are all the same one, none where none is known.

    Where `unnest` stands beside others in a SELECT list, PostgreSQL pads the shorter ones with NULL (10 and newer,
    "SQL Functions Returning Sets"), and the driver looks at each value twice before it sends it.
    """
    first = values[0]
    if values.count(first) < len(values):
        return values
    return () if first is None else values[:1]


def insert_into(dialect: str, table: sa.Table) -> Any:
    """An insert as this store has it: what to do where the row is there is no part of SQL."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)


def rank_of(version: sa.ColumnElement[bytes]) -> sa.ColumnElement[bytes]:
    """The rank in a version's key, in SQL; compares as `Rank.byte` does."""
    return sa.func.substr(version, RANK_AT + 1, 1, type_=sa.LargeBinary)


def digest_of(version: sa.ColumnElement[bytes]) -> sa.ColumnElement[bytes]:
    """The digest in a version's key, in SQL."""
    return sa.func.substr(version, DIGEST_AT.start + 1, DIGEST_AT.stop - DIGEST_AT.start, type_=sa.LargeBinary)


def as_python_sorts(column: Any) -> Any:
    """A column of PostgreSQL in the order in which Python sorts it, whatever the locale is."""
    return column.collate("C") if isinstance(column.type, sa.Text) else column


def row_insert(table: sa.Table, on_conflict: Conflict, *returning: str, **options: Any) -> BulkInsert:
    """The insert of a table's rows, which are those of `row_of`, by its primary key; `options` as of `BulkInsert`."""
    key = tuple(column.name for column in table.primary_key)
    clocked = tuple(name for name in ("mirrored_at",) if name in table.c)
    return BulkInsert(table, written(table), key, on_conflict, returning, clocked, **options)


def state_insert(table: sa.Table, keep_if: str | None = None) -> BulkInsert:
    """The version-guarded insert of a state table."""
    told = (key_of(table).name, "version", "replaces")
    return row_insert(table, "newer", *told, constants={"mapping": MAPPING}, keep_if=keep_if)


def part_insert(table: sa.Table) -> BulkInsert:
    """The insert of what belongs to a state and is replaced with it."""
    return row_insert(table, "nothing", as_json=True)


async def rows_by_key(
    connection: AsyncConnection, table: sa.Table, key: str, values: Sequence[str], *columns: str
) -> dict[str, Any]:
    """Rows of the table by one key column."""
    found: dict[str, Any] = {}
    query = _by_key(table, key, columns, connection.dialect.name)
    for start in range(0, len(values), _SQLITE_VARIABLES):
        chunk = {"keys": list(values[start : start + _SQLITE_VARIABLES])}
        found |= {row[0]: row for row in await connection.execute(query, chunk)}
    return found


@lru_cache(maxsize=512)
def _by_key(table: sa.Table, key: str, columns: tuple[str, ...], dialect: str) -> sa.Select[Any]:
    """The statement for that, made once: for many columns that takes longer than to run it."""
    return sa.select(table.c[key], *(table.c[name] for name in columns)).where(is_key(table.c[key], dialect))


def is_key(column: sa.Column[Any], dialect: str) -> sa.ColumnElement[bool]:
    """`column IN :keys`, for statements that are made once; as one array on PostgreSQL."""
    if dialect == "postgresql":
        return column == sa.any_(sa.bindparam("keys", type_=postgresql.ARRAY(column.type)))
    return column.in_(sa.bindparam("keys", expanding=True))


def key_in(connection: AsyncConnection, column: sa.Column[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """`column IN values`, as one array on PostgreSQL so that the statement's text stays the same."""
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.bindparam(None, list(values), type_=postgresql.ARRAY(column.type), unique=True))
    return column.in_(list(values))


def among(connection: AsyncConnection, column: sa.ColumnElement[Any], values: Iterable[str]) -> sa.ColumnElement[bool]:
    """`column IN values` as one parameter, however many there are: an array on PostgreSQL, JSON on SQLite."""
    listed = list(values)
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.bindparam(None, listed, type_=postgresql.ARRAY(sa.Text()), unique=True))
    rows = sa.func.json_each(json.dumps(listed)).table_valued("value")
    return column.in_(sa.select(rows.c.value))


def pairs_among(
    connection: AsyncConnection,
    columns: tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]],
    values: Collection[tuple[str, str]],
) -> sa.ColumnElement[bool]:
    """`among` of two columns together: two arrays on PostgreSQL, JSON on SQLite."""
    if connection.dialect.name == "postgresql":
        arrays = [
            sa.func.unnest(sa.bindparam(None, list(told), type_=postgresql.ARRAY(sa.Text()), unique=True))
            for told in zip(*values, strict=True)
        ]
        return sa.tuple_(*columns).in_(sa.select(*arrays))
    rows = sa.func.json_each(json.dumps([list(pair) for pair in values])).table_valued("value")
    ends = [sa.func.json_extract(rows.c.value, f"$[{place}]") for place in (0, 1)]
    return sa.tuple_(*columns).in_(sa.select(*ends))
