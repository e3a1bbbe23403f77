"""Histories: every state of a moment that was the row, and those that came too late to be it.

A history is a set, named by thing and version, so any order of arrival ends in the same one; when a state was valid is
told by what stands next to it. What became the row is copied inside the store, and only what came late is sent again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Rank
from service.mirror import controls
from service.mirror.bulk import BulkInsert, among, as_python_sorts, insert_into, rank_of
from service.mirror.planning import StateRow
from service.mirror.store import Store
from service.mirror.tables import HISTORIES, MAPPING, STATES, key_of

#: Rows that one step of going round looks at.
ROUND_ROWS = 2000
#: The control that says how far going round has come: kind, key, and whether it has been everywhere once.
ROUND = "history_round"
#: The control that was set when everything was looked at once: from then on histories are whole.
SINCE = "history_since"
_KINDS = tuple(STATES)


async def keep(
    connection: AsyncConnection, kind: str, columns: tuple[str, ...], rows: Iterable[StateRow], written: Collection[str]
) -> None:
    """Keep the states of a batch, in the transaction that writes it.

    Args:
        columns: what the values of a row are.
        written: the ids of the things whose newest state became the row.
    """
    late: list[StateRow] = []
    for row in rows:
        late += row.overtaken if row.values[0] in written else [row, *row.overtaken]
    if written:
        await _copy(connection, kind, among(connection, key_of(STATES[kind]), sorted(written)))
    told = [(*row.values, row.version.rank >= Rank.EVENT) for row in late if row.version.at_us is not None]
    await _late_insert(kind, columns).run(connection, told)


@lru_cache
def _late_insert(kind: str, columns: tuple[str, ...]) -> BulkInsert:
    """The insert of states that did not become the row."""
    table = HISTORIES[kind]
    key = tuple(column.name for column in table.primary_key)
    constants = {"mapping": MAPPING}
    return BulkInsert(table, (*columns, "is_exact"), key, "nothing", clocked=("mirrored_at",), constants=constants)


async def _copy(connection: AsyncConnection, kind: str, condition: sa.ColumnElement[bool]) -> int:
    """Keep the rows that meet a condition, as far as they have a moment; answers how many were not kept yet."""
    rows, kept = STATES[kind], HISTORIES[kind]
    names = [column.name for column in kept.c if column.name != "is_exact"]
    is_exact = rank_of(rows.c.version) >= sa.literal(Rank.EVENT.byte, sa.LargeBinary)
    source = sa.select(*(rows.c[name] for name in names), is_exact).where(condition, rows.c.version_at.is_not(None))
    on_postgres = connection.dialect.name == "postgresql"
    insert = insert_into(connection.dialect.name, kept)
    order = as_python_sorts(key_of(STATES[kind])) if on_postgres else key_of(STATES[kind])
    statement = insert.from_select([*names, "is_exact"], source.order_by(order), include_defaults=False)
    return int((await connection.execute(statement.on_conflict_do_nothing())).rowcount)


async def go_round(store: Store) -> bool:
    """Keep what is the row and is in no history, of the next things: from before history was kept, or by a replica that
    does not keep it; answers whether everything was looked at once.

    Raises:
        StoreUnavailable: it is down.
    """
    async with store.writing() as connection:
        before = await controls.read_control(connection, ROUND) or {"kind": _KINDS[0], "key": "", "done": False}
        kind = before["kind"] if before["kind"] in STATES else _KINDS[0]
        key = key_of(STATES[kind])
        keys = sa.select(key).where(key > before["key"]).order_by(key).limit(ROUND_ROWS)
        last = (await connection.execute(sa.select(sa.func.max(keys.subquery().c[0])))).scalar_one()
        if last is not None:
            await _copy(connection, kind, sa.and_(key > before["key"], key <= last))
            after = before | {"key": last}
        else:
            following = (_KINDS.index(kind) + 1) % len(_KINDS)
            after = {"kind": _KINDS[following], "key": "", "done": before["done"] or following == 0}
            if following == 0:
                await controls.set_once(connection, SINCE, True)
        await controls.set_control(connection, ROUND, after)
        return bool(after["done"])
