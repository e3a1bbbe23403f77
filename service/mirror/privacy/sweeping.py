"""Where a person is in the store, table by table, and taking them out there.

Every text of every table is looked through, so a table that is added later is, too. What is found is rewritten with
`[forgotten]` in the place of the person; a row goes as a whole where its key, or its only purpose, is the person. The
audit log is only counted: it is evidence, and the store refuses to change it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import DataError
from service.events.stored import version_of
from service.mirror.bulk import among
from service.mirror.clock import store_now
from service.mirror.search import writing
from service.mirror.store import Store
from service.mirror.tables import (
    HISTORIES,
    STATES,
    audit_log,
    dead_letters,
    forgotten,
    key_of,
    metadata,
    search_things,
    search_words,
    sessions,
    usage_facts,
)
from service.text.forgotten import Person, folded

#: Rows of one transaction, and places that are told.
_ROWS, MAX_PLACES = 500, 200
#: What is not rewritten: evidence, the list itself, and words, which are no sentences.
_SPARED = frozenset({audit_log, forgotten, search_words})
#: Rows that exist for one person, or are made again of what stays.
_WHOLE = frozenset({sessions, search_things})
#: The tables of states, and of states that were, with their kinds.
_KINDS = {table: kind for kinds in (STATES, HISTORIES) for kind, table in kinds.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person is: a row by its key, and the columns."""

    table: str
    key: str
    columns: list[str]


@dataclass(slots=True)
class Swept:
    """Rows by table, and the first places."""

    rewritten: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Traces:
    """What to look for: a person, and what uses have of them (`service.mirror.usage.people`)."""

    person: Person
    user_hashes: Collection[str]

    def change_of(self, table: sa.Table, row: Any) -> dict[str, Any]:
        """The columns of a row that change, with what they change to."""
        told = row._mapping
        changes: dict[str, Any] = {}
        for column in _texts(table):
            value = told[column.name]
            if value is None:
                continue
            if table is usage_facts and column is usage_facts.c.user_hash:
                new = None if value in self.user_hashes else value
            else:
                body = isinstance(value, bytes | memoryview)
                new = self.person.hidden_body(bytes(value)) if body else self.person.hidden_column(value)
            if new != value:
                changes[column.name] = new
        return changes


async def look(store: Store, traces: Traces) -> Swept:
    """Where they are; nothing is changed."""
    swept = Swept()
    async with store.reading() as connection:
        for table in _tables():
            async for rows in _pages(connection, table, traces):
                for row in rows:
                    if changes := traces.change_of(table, row):
                        _note(swept, table, row, changes)
    return swept


async def sweep(store: Store, traces: Traces) -> Swept:
    """Take them out; raises as whoever writes does. May be repeated after an interruption."""
    swept = Swept()
    for table in _tables():
        last: Sequence[Any] | None = None
        while True:
            async with store.writing() as connection:
                rows = await _page(connection, table, traces, last)
                await _rewrite(connection, table, traces, rows, swept)
            if len(rows) < _ROWS:
                break
            last = [rows[-1]._mapping[column.name] for column in table.primary_key]
    async with store.writing() as connection:
        await _forget_words(connection, traces.person)
    return swept


async def audited(store: Store, person: Person) -> int:
    """Entries of the audit log that name them; it stays as it is."""
    async with store.reading() as connection:
        query = sa.select(*_texts(audit_log)).where(_may_hold(connection, audit_log, person.forms))
        rows = await connection.execute(query)
        return sum(any(value and person.hidden_column(value) != value for value in row) for row in rows)


def _tables() -> list[sa.Table]:
    return [table for table in metadata.tables.values() if table not in _SPARED and _texts(table)]


def _texts(table: sa.Table) -> list[sa.Column[Any]]:
    """The columns that hold texts, or bodies; the words of search go with their row."""
    bodies = {dead_letters.c.body, dead_letters.c.original_body}
    texts = (column for column in table.c if isinstance(column.type, sa.Text) or column in bodies)
    return [column for column in texts if column is not search_things.c.words]


async def _pages(connection: AsyncConnection, table: sa.Table, traces: Traces) -> AsyncIterator[list[Any]]:
    last: Sequence[Any] | None = None
    while rows := await _page(connection, table, traces, last):
        yield rows
        last = [rows[-1]._mapping[column.name] for column in table.primary_key]


async def _page(
    connection: AsyncConnection, table: sa.Table, traces: Traces, last: Sequence[Any] | None
) -> list[Any]:  # fmt: skip
    """The next rows that may hold them, in the order of keys."""
    keys = list(table.primary_key.columns)
    query = (
        sa.select(table).where(_may_hold(connection, table, traces.person.forms, traces.user_hashes)).order_by(*keys)
    )
    if last is not None:
        place = (sa.literal(value, key.type) for value, key in zip(last, keys, strict=True))
        query = query.where(sa.tuple_(*keys) > sa.tuple_(*place))
    return list(await connection.execute(query.limit(_ROWS)))


def _may_hold(
    connection: AsyncConnection, table: sa.Table, forms: Sequence[str], user_hashes: Collection[str] = ()
) -> sa.ColumnElement[bool]:
    """What the store can tell: a text with one of these in it, as it is or as JSON writes it. Bodies: all of them."""
    if table is dead_letters:
        return sa.true()
    in_json = {json.dumps(form, ensure_ascii=plain)[1:-1] for form in forms for plain in (False, True)}
    written = {*forms, *in_json}
    written |= {change(spelt) for spelt in written for change in (str.casefold, str.upper)}
    told: list[sa.ColumnElement[Any]] = [sa.func.coalesce(column, "") for column in _texts(table)]
    spelt, place = _spelt(connection, sorted(written))
    whole = sa.func.lower(reduce(lambda before, column: before + "\n" + column, told))
    found = sa.exists().where(place(whole, sa.func.lower(spelt)) > 0)
    if table is usage_facts:
        return found | usage_facts.c.user_hash.in_(list(user_hashes))
    return found


def _spelt(connection: AsyncConnection, written: list[str]) -> tuple[sa.ColumnElement[str], Callable[..., Any]]:
    """Each way to write it as a row, and the store's function for its place in a text."""
    if connection.dialect.name == "postgresql":
        spelt = sa.func.unnest(sa.bindparam(None, written, type_=postgresql.ARRAY(sa.Text()), unique=True))
        return spelt.column_valued("spelt"), sa.func.strpos
    return sa.func.json_each(json.dumps(written)).table_valued("value").c.value, sa.func.instr


async def _rewrite(
    connection: AsyncConnection, table: sa.Table, traces: Traces, rows: Iterable[Any], swept: Swept
) -> None:
    """Rewrite or remove the rows that hold them, and what search made of these."""
    touched: list[str] = []
    for row in rows:
        changes = traces.change_of(table, row)
        if not changes:
            continue
        _note(swept, table, row, changes)
        touched.append(str(row[0]))
        values = _told(connection, table, row, changes)
        if _goes(table, changes) or await _is_there(connection, table, row, values):
            await _remove(connection, table, row)
        else:
            await connection.execute(sa.update(table).where(*_this(table, row)).values(values))
    if touched and table in _KINDS:
        found = among(connection, search_things.c.thing_id, touched)
        await writing.forget(
            connection, list((await connection.execute(sa.select(search_things.c.seq).where(found))).scalars())
        )


def _goes(table: sa.Table, changes: dict[str, Any]) -> bool:
    return table in _WHOLE or any(column.name in changes for column in table.primary_key)


async def _is_there(connection: AsyncConnection, table: sa.Table, row: Any, values: dict[str, Any]) -> bool:
    """Whether a history has the same state already: two that differed in the person alone are one without them."""
    key = key_of(table)
    if table not in HISTORIES.values() or values.get("version", row.version) == row.version:
        return False
    same = sa.select(sa.func.count()).where(key == row._mapping[key.name], table.c.version == values["version"])
    return bool((await connection.execute(same)).scalar_one())


async def _remove(connection: AsyncConnection, table: sa.Table, row: Any) -> None:
    if table is search_things:
        await writing.forget(connection, [row.seq])
    else:
        await connection.execute(sa.delete(table).where(*_this(table, row)))


def _this(table: sa.Table, row: Any) -> list[sa.ColumnElement[bool]]:
    """The row, unless a newer state replaced it meanwhile, which was written without them."""
    same = [column == row._mapping[column.name] for column in table.primary_key]
    return [*same, table.c.version == row.version] if table in _KINDS else same


def _told(connection: AsyncConnection, table: sa.Table, row: Any, changes: dict[str, Any]) -> dict[str, Any]:
    """The values of a row: a state has the digest of what it says now, so that a reading finds it equal."""
    if table is dead_letters:
        return changes | {"blanked": True}
    if table not in _KINDS:
        return changes
    told = dict(row._mapping) | changes
    if told["document"] is not None:
        try:
            key = key_of(table)
            changes = changes | {"version": version_of(_KINDS[table], told, key.name).key}
        except DataError:  # what this code does not understand keeps its version
            pass
    return changes | {"mirrored_at": store_now(connection.dialect.name)}


def _note(swept: Swept, table: sa.Table, row: Any, changes: dict[str, Any]) -> None:
    """Count a row, but for what search makes of others: it comes and goes with them."""
    if table is search_things:
        return
    counts = swept.removed if _goes(table, changes) else swept.rewritten
    name = str(table.name)  # plain, as it is told over HTTP
    counts[name] = counts.get(name, 0) + 1
    if len(swept.places) < MAX_PLACES:
        key = "/".join(str(row._mapping[column.name]) for column in table.primary_key)
        swept.places.append(Place(name, key, [str(column) for column in changes]))


async def _forget_words(connection: AsyncConnection, person: Person) -> None:
    """Single words of names, with which mistyped ones are compared; those that other things have come again."""
    words = sorted({word for form in person.forms for word in folded(form).split()})
    await writing.forget_words(connection, words)
