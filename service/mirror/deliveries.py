"""The outbox: changes on their way to targets.

A delivery says which change of which thing goes where; what is sent is read from the mirror when it is sent, so the
newest state goes out and nothing is stored twice. Where the change itself is told, what was before and what is after,
it is kept with the delivery, and each goes out. Order holds for one thing at one target: only the head, the oldest open
delivery of a (target, entity), may be claimed, for a time, with a token, on the store's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import LineageRecorded, entity_of
from service.errors import DataError
from service.mirror import dead_letters as letters
from service.mirror.bulk import BulkInsert, is_key, key_in, rows_by_key
from service.mirror.clock import store_now
from service.mirror.lineage.events import bodies
from service.mirror.store import Store
from service.mirror.tables import deliveries, openlineage_events, target_states
from service.text.documents import column_text

LINEAGE = "lineage_event"
#: OpenLineage events as they were sent: those of one run are one entity, so that START goes before COMPLETE.
RUN = "lineage_run"
#: What is an event of its own, not the state of a thing.
EVENT_KINDS = (LINEAGE, RUN)
#: Rows that one statement names at most.
_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Lease:
    """A timed claim: who holds it, and for how many seconds."""

    token: str
    seconds: float


class Delivery(msgspec.Struct, frozen=True):
    """One change on its way to one target."""

    delivery_id: str
    target: str
    entity_kind: str
    entity_id: str
    change: str
    attempts: int = 0
    #: What is sent, where it is known already (lineage bodies); else it is read from the mirror.
    document: str | None = None
    #: The document is kept with the delivery: it tells a change, which nobody could read from the mirror later.
    keeps: bool = False
    #: Seconds since the change was committed.
    age_s: float = 0.0
    #: Never goes from memory, where it could overtake an older one: the store gives it out in its turn.
    waits: bool = False
    #: Seconds until it is due.
    settles_s: float = 0.0
    #: `traceparent` of the event that it is of, where that is traced; behind a space `tracestate`, if it has one.
    trace: str | None = None


#: Makes of two changes of one entity, one after the other, the one that they are together.
Merge = Callable[[str, str], str]


@dataclass(slots=True)
class Merged:
    """What heads tell instead, by their ids; and the places of those that are in it."""

    documents: dict[str, str] = field(default_factory=dict)
    seqs: list[int] = field(default_factory=list)


def of_lineage(target: str, event_id: str, document: str | None, trace: str | None = None) -> Delivery:
    """The delivery of one lineage event; it goes out once."""
    name = LineageRecorded.__name__
    return Delivery(f"{target}:{event_id}", target, LINEAGE, event_id, name, document=document, trace=trace)


def of_run(target: str, run_id: str, openlineage_id: str, trace: str | None = None) -> Delivery:
    """The delivery of one OpenLineage event as it was sent; those of a run go in the order in which they came."""
    name = LineageRecorded.__name__
    return Delivery(f"{target}:{openlineage_id}", target, RUN, run_id, name, waits=True, trace=trace)


def of_state(
    target: str, change: Any, settles_s: float = 0.0, trace: str | None = None, told: str | None = None
) -> Delivery:
    """The delivery of one state of one thing; `change` has a version. One that settles waits in the store.

    Args:
        told: what is told of it, where that is fixed with the change: each goes out then, in their order.
    """
    entity_kind, entity_id = entity_of(change)
    delivery_id = f"{target}:{entity_kind}:{entity_id}:{change.version.key.hex()}"
    name = type(change).__name__
    return Delivery(
        delivery_id, target, entity_kind, entity_id, name, document=told, keeps=told is not None,
        waits=settles_s > 0, settles_s=settles_s, trace=trace,
    )  # fmt: skip


_COLUMNS = ("delivery_id", "target", "entity_kind", "entity_id", "change", "trace", "document")
_same = deliveries.alias("same")
_ENTITY = ("target", "entity_kind", "entity_id")


def _oldest_like(
    row: Callable[[str], sa.ColumnElement[Any]], *more: sa.ColumnElement[bool]
) -> sa.ScalarSelect[Any]:  # fmt: skip
    """The place of the oldest open delivery of an entity at a target; `row` gives those of a delivery."""
    alike = [_same.c[name] == row(name) for name in _ENTITY]
    return sa.select(sa.func.min(_same.c.seq)).where(*alike, *more).correlate(deliveries).scalar_subquery()


#: It is the oldest open delivery of its entity at its target. Asked row by row, each answered by one entry of an index:
#: a join would be planned by statistics, which a table that has just grown does not have.
_IS_HEAD = deliveries.c.seq == _oldest_like(lambda name: deliveries.c[name])


def _written(name: str) -> sa.ColumnElement[Any]:
    """A column of the row that an insert tells of; the table's own would be written without its name there."""
    return sa.literal_column(f"{deliveries.name}.{name}", deliveries.c[name].type)


#: What an insert tells of each row; on SQLite the row is there already when that is asked.
_WAITS_BEFORE = _oldest_like(_written, _same.c.seq < _written("seq"))
_insert = BulkInsert(
    deliveries,
    _COLUMNS,
    key=("delivery_id",),
    on_conflict="nothing",
    returning=("delivery_id",),
    clocked=("created_at", "due_at"),
)


@cache
def _settling(seconds: float) -> BulkInsert:
    """The same for those that are due so many seconds from now."""
    return replace(_insert, clocked=("created_at",), later=(("due_at", seconds),)) if seconds else _insert


@cache
def _leased(seconds: float) -> BulkInsert:
    """The same for those that are born leased."""
    return replace(_insert, shared=("lease_token",), later=(("lease_until", seconds),))


@cache
def _leased_in_order(seconds: float) -> BulkInsert:
    """The same, telling of each whether others of its entity wait already."""
    return replace(_leased(seconds), asks=(_WAITS_BEFORE,))


async def create(connection: AsyncConnection, new: Sequence[Delivery], lease: Lease | None = None) -> set[str]:
    """Insert deliveries, born leased where a lease is given; answers the ids that were not there yet."""
    created: set[str] = set()
    for settles_s in sorted({delivery.settles_s for delivery in new}):
        rows = [_values(delivery) for delivery in new if delivery.settles_s == settles_s]
        if lease and not settles_s:
            written = await _leased(lease.seconds).run(connection, rows, lease.token)
        else:
            written = await _settling(settles_s).run(connection, rows)
        created |= {row[0] for row in written}
    return created


async def create_in_order(
    connection: AsyncConnection, new: Sequence[Delivery], lease: Lease
) -> tuple[set[str], set[str]]:  # fmt: skip
    """Insert deliveries born leased, of which none may overtake another one of its entity.

    Returns:
        The ids that were not there yet, and those of them that are left to the store, as others wait before them.
    """
    if not new:
        return set(), set()
    in_order = _leased_in_order(lease.seconds)
    written = await in_order.run(connection, [_values(delivery) for delivery in new], lease.token)
    behind = [row[0] for row in written if row[1] is not None]
    if behind:
        mine = key_in(connection, deliveries.c.delivery_id, behind)
        await connection.execute(sa.update(deliveries).where(mine).values(lease_token=None, lease_until=None))
    return {row[0] for row in written}, set(behind)


def _values(new: Delivery) -> tuple[str | None, ...]:
    kept = new.document if new.keeps else None
    return new.delivery_id, new.target, new.entity_kind, new.entity_id, new.change, new.trace, kept


async def create_in_turn(connection: AsyncConnection, new: Sequence[Delivery]) -> set[str]:
    """Insert deliveries of which those of one entity go out in this order; an insert of many has no order within."""
    created: set[str] = set()
    left = list(new)
    while left:
        turn = {(delivery.target, delivery.entity_id): delivery for delivery in reversed(left)}
        created |= await create(connection, list(turn.values()))
        taken = {delivery.delivery_id for delivery in turn.values()}
        left = [delivery for delivery in left if delivery.delivery_id not in taken]
    return created


async def claim(
    connection: AsyncConnection, store: Store, target: str, lease: Lease, limit: int, ahead_s: float = 0.0,
    merge: Merge | None = None,
) -> list[Delivery]:  # fmt: skip
    """Lease due heads of one target, oldest first; with `ahead_s` also those due within it, once one is due.

    Where an entity has newer pending deliveries of its state, the head carries the newest state already, so they are
    superseded and removed in the same transaction. Those that tell changes are merged into the head where `merge` says
    how; else each goes out.
    """
    if store.dialect == "postgresql":
        # Read in turn, by an index: to sort them is to read all that wait, which a planner without statistics prefers.
        await connection.execute(sa.text("SET LOCAL enable_sort = off"))
    now = store.now()
    free = sa.or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < now)
    until = now
    if ahead_s:
        one = sa.select(deliveries.c.seq).where(deliveries.c.target == target, deliveries.c.due_at <= now, free)
        if (await connection.execute(one.limit(1))).first() is None:
            return []
        until = store.later(ahead_s)
    due = (
        sa.select(deliveries, now.label("clock"))
        .where(deliveries.c.target == target, deliveries.c.due_at <= until, free, _IS_HEAD)
        .order_by(deliveries.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await connection.execute(due)).all()
    for start in range(0, len(rows), _CHUNK):
        mine = key_in(connection, deliveries.c.seq, [row.seq for row in rows[start : start + _CHUNK]])
        leased = {"lease_token": lease.token, "lease_until": store.later(lease.seconds)}
        await connection.execute(sa.update(deliveries).where(mine).values(leased))
    await _collapse(connection, rows)
    merged = await _merge(connection, rows, merge) if merge else Merged()
    if merged.seqs:
        await connection.execute(sa.delete(deliveries).where(key_in(connection, deliveries.c.seq, merged.seqs)))
        set_document = sa.update(deliveries).where(deliveries.c.delivery_id == sa.bindparam("head"))
        told = [{"head": delivery_id, "told": text} for delivery_id, text in merged.documents.items()]
        await connection.execute(set_document.values(document=sa.bindparam("told")), told)
    return await _read(connection, rows, rows[0].clock, merged) if rows else []


async def peek(
    connection: AsyncConnection, store: Store, target: str, limit: int, merge: Merge | None = None
) -> list[Delivery]:
    """The open heads of one target as `claim` would give them out, due or not, oldest first; leases nothing."""
    query = sa.select(deliveries).where(deliveries.c.target == target, _IS_HEAD).order_by(deliveries.c.seq)
    rows = list(await connection.execute(query.limit(limit)))
    clock = (await connection.execute(sa.select(store.now()))).scalar_one()
    return await _read(connection, rows, clock, await _merge(connection, rows, merge) if merge else Merged())


async def _read(connection: AsyncConnection, rows: Sequence[Any], clock: datetime, merged: Merged) -> list[Delivery]:
    documents = await _documents(connection, rows) | merged.documents
    return [
        Delivery(
            row.delivery_id, row.target, row.entity_kind, row.entity_id, row.change, row.attempts,
            documents.get(row.delivery_id, row.document), row.document is not None,
            (clock - row.created_at).total_seconds(), trace=row.trace,
        )
        for row in rows
    ]  # fmt: skip


async def _merge(connection: AsyncConnection, heads: Sequence[Any], merge: Merge) -> Merged:
    """What heads tell together with what waits behind them; those whose lease somebody has are left out."""
    told = {row.seq: row for row in heads if row.document is not None}
    merged, texts = Merged(), {seq: row.document for seq, row in told.items()}
    seqs = list(told)
    for start in range(0, len(seqs), _CHUNK):
        behind = _behind(connection, seqs[start : start + _CHUNK]).order_by("seq")
        for row in await connection.execute(behind):
            if row.document is None:
                continue
            texts[row.head] = merge(texts[row.head], row.document)
            merged.documents[told[row.head].delivery_id] = texts[row.head]
            merged.seqs.append(row.seq)
    return merged


def _behind(connection: AsyncConnection, heads: Sequence[int]) -> sa.Select[Any]:
    """What waits behind these heads, its lease nobody's: `seq`, `document`, and the `head`.

    PostgreSQL asks it head by head, each answered by an index: `OFFSET` keeps it from planning a join, which it does by
    statistics. Those of an outbox that was empty when they were made had it compare each row with each.
    """
    head, later = deliveries.alias("head"), deliveries.alias("later")
    mine = key_in(connection, head.c.seq, heads)
    same = [*(later.c[name] == head.c[name] for name in _ENTITY), later.c.seq > head.c.seq]
    free = later.c.lease_token.is_(None)
    if connection.dialect.name != "postgresql":
        told = sa.select(later.c.seq, later.c.document, head.c.seq.label("head"))
        return told.join(head, sa.and_(*same)).where(mine, free)
    of_one = sa.select(later.c.seq, later.c.document).where(*same, free).offset(0).lateral("of_one")
    told = sa.select(of_one.c.seq, of_one.c.document, head.c.seq.label("head"))
    return told.select_from(head.join(of_one, sa.true())).where(mine)


async def _collapse(connection: AsyncConnection, heads: Sequence[Any]) -> None:
    states = [row.seq for row in heads if row.entity_kind not in EVENT_KINDS and row.document is None]
    for start in range(0, len(states), _CHUNK):
        behind = await connection.execute(_behind(connection, states[start : start + _CHUNK]))
        superseded = [row.seq for row in behind]
        for at in range(0, len(superseded), _CHUNK):
            mine = key_in(connection, deliveries.c.seq, superseded[at : at + _CHUNK])
            await connection.execute(sa.delete(deliveries).where(mine, deliveries.c.lease_token.is_(None)))


async def _documents(connection: AsyncConnection, rows: Sequence[Any]) -> dict[str, str]:
    """What is sent, by delivery: lineage events as the mirror has them now, OpenLineage events as they came."""
    told = {row.delivery_id: row.entity_id for row in rows if row.entity_kind == LINEAGE}
    sent = {row.delivery_id: openlineage_id_of(row.delivery_id) for row in rows if row.entity_kind == RUN}
    whole = await bodies(connection, sorted(set(told.values())))
    originals = await rows_by_key(connection, openlineage_events, "openlineage_id", list(sent.values()), "document")
    found = {delivery_id: whole[event_id] for delivery_id, event_id in told.items() if event_id in whole}
    return found | {delivery_id: originals[id_].document for delivery_id, id_ in sent.items() if id_ in originals}


def openlineage_id_of(delivery_id: str) -> str:
    """The event that a delivery of a run is about: its id stands behind the target's name."""
    return delivery_id.partition(":")[2]


@cache
def _removal(dialect: str) -> sa.Delete:
    """Removes deliveries that are still ours."""
    ours = deliveries.c.lease_token == sa.bindparam("token")
    return sa.delete(deliveries).where(is_key(deliveries.c.delivery_id, dialect), ours)


async def done(connection: AsyncConnection, target: str, ids: Sequence[str], token: str) -> int:
    """Remove delivered rows that are still ours, and count them; answers how many were."""
    mine = {"keys": list(ids), "token": token}
    removed = (await connection.execute(_removal(connection.dialect.name), mine)).rowcount
    counted = {
        "delivered": target_states.c.delivered + removed,
        "last_delivered_at": store_now(connection.dialect.name),
    }
    await connection.execute(sa.update(target_states).where(target_states.c.target == target).values(counted))
    return int(removed)


async def give_back(
    connection: AsyncConnection, store: Store, ids: Sequence[str], token: str, *, after_s: float, error: str | None
) -> None:
    """Return leases, to be due again after some seconds; an error counts an attempt."""
    values: dict[str, Any] = {**dict.fromkeys(("lease_token", "lease_until")), "due_at": store.later(after_s)}
    if error:
        values |= {"attempts": deliveries.c.attempts + 1, "last_error": column_text(error[:500])}
    condition = (key_in(connection, deliveries.c.delivery_id, list(ids)), deliveries.c.lease_token == token)
    await connection.execute(sa.update(deliveries).where(*condition).values(values))


async def bury(connection: AsyncConnection, delivery: Any, error: DataError) -> None:
    """Turn a delivery into a dead letter, unless it was delivered meanwhile; the rest of its entity's go on."""
    this = deliveries.c.delivery_id == delivery.delivery_id
    gone = (await connection.execute(sa.delete(deliveries).where(this).returning(deliveries.c.document))).all()
    for row in gone:
        await letters.store_delivery(connection, delivery, error, row.document)


async def too_old(connection: AsyncConnection, store: Store, target: str, max_age_s: float, limit: int) -> list[Any]:
    """Deliveries that have waited longer than they may."""
    query = sa.select(deliveries).where(
        deliveries.c.target == target, deliveries.c.created_at < store.later(-max_age_s)
    )
    return list(await connection.execute(query.order_by(deliveries.c.seq).limit(limit)))


async def pending(
    connection: AsyncConnection, target: str | None = None, limit: int = 100, after: int | None = None
) -> list[Any]:
    """Open deliveries, the oldest first; `after`: those that follow on this place in the outbox."""
    query = sa.select(deliveries).order_by(deliveries.c.seq).limit(limit)
    if target is not None:
        query = query.where(deliveries.c.target == target)
    if after is not None:
        query = query.where(deliveries.c.seq > after)
    return list(await connection.execute(query))


async def retry_now(connection: AsyncConnection, target: str | None, ids: Sequence[str]) -> int:
    """Make pending deliveries due at once; answers how many."""
    update = sa.update(deliveries).values(due_at=store_now(connection.dialect.name))
    if target:
        update = update.where(deliveries.c.target == target)
    if ids:
        update = update.where(sa.or_(*(deliveries.c.delivery_id.startswith(some, autoescape=True) for some in ids)))
    return int((await connection.execute(update)).rowcount)


async def revive(connection: AsyncConnection, letter: Any) -> str:
    """Send a dead-lettered delivery again; answers the state its letter gets.

    A newer open delivery of the same entity carries the newer state, so the old one is superseded; what tells a change
    is told again as it was.
    """
    same = (deliveries.c.target == letter.target, deliveries.c.entity_kind == letter.entity_kind)
    newer = sa.select(sa.func.count()).where(*same, deliveries.c.entity_id == letter.entity_id)
    told = letter.body.decode() if letter.body else None
    is_state = letter.entity_kind not in EVENT_KINDS and told is None
    if is_state and (await connection.execute(newer)).scalar_one():
        return letters.SUPERSEDED
    again = Delivery(
        letter.dead_letter_id, letter.target, letter.entity_kind, letter.entity_id, "replayed",
        document=told, keeps=told is not None,
    )  # fmt: skip
    await create(connection, [again])
    return letters.REPLAYED


async def count(connection: AsyncConnection) -> int:
    """How many wait."""
    return int((await connection.execute(sa.select(sa.func.count()).select_from(deliveries))).scalar_one())
