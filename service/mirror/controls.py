"""What people set and replicas tell each other through the store: pause, brake, heartbeats, targets, gaps, suspects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import insert_into
from service.mirror.clock import store_now
from service.mirror.store import Store
from service.mirror.tables import controls, gaps, replicas, suspects, target_states

#: Controls: consuming is paused by a person; the brake has been pulled; when a consumer was last at work.
PAUSE, BRAKE, CONSUMED, QUEUE = "pause", "brake", "last_consumed", "queue"
#: What we ever bound our queue with, or the exchange before several.
BINDINGS = "bindings"
#: All deliveries are held: the store was restored from a backup, so some of them went out before.
HELD = "deliveries_held"
#: The least important lines that are shown, by somebody's choice and until a moment.
LOG_LEVEL = "log_level"
#: Seconds after which a replica that sent no heartbeat counts as gone.
REPLICA_GONE_S = 30.0


async def _set(connection: AsyncConnection, table: sa.Table, key: str, values: dict[str, Any]) -> None:
    insert = insert_into(connection.dialect.name, table).values(values)
    new = {name: insert.excluded[name] for name in values if name != key}
    await connection.execute(insert.on_conflict_do_update(index_elements=[key], set_=new))


async def set_control(connection: AsyncConnection, name: str, value: Any) -> None:
    """Set one control; its value is anything JSON holds."""
    now = store_now(connection.dialect.name)
    await _set(connection, controls, "name", {"name": name, "value": json.dumps(value), "updated_at": now})


async def set_once(connection: AsyncConnection, name: str, value: Any) -> None:
    """Set one control unless it is set already."""
    now = store_now(connection.dialect.name)
    insert = insert_into(connection.dialect.name, controls).values(name=name, value=json.dumps(value), updated_at=now)
    await connection.execute(insert.on_conflict_do_nothing(index_elements=["name"]))


async def clear_control(connection: AsyncConnection, name: str) -> bool:
    """Remove one control; answers whether it was set."""
    return bool((await connection.execute(sa.delete(controls).where(controls.c.name == name))).rowcount)


async def read_controls(connection: AsyncConnection) -> dict[str, tuple[Any, datetime]]:
    """All controls with the moment they were set."""
    rows = await connection.execute(sa.select(controls))
    return {row.name: (json.loads(row.value), row.updated_at) for row in rows}


async def read_control(connection: AsyncConnection, name: str) -> Any:
    """The value of one control; None where it is not set."""
    value = (await connection.execute(sa.select(controls.c.value).where(controls.c.name == name))).scalar_one_or_none()
    return None if value is None else json.loads(value)


async def is_older(connection: AsyncConnection, store: Store, name: str, seconds: float) -> bool:
    """Whether one control was set more than so many seconds ago, by the clock that replicas have in common."""
    old = sa.and_(controls.c.name == name, controls.c.updated_at < store.later(-seconds))
    return (await connection.execute(sa.select(controls.c.name).where(old))).first() is not None


async def remember_bindings(
    connection: AsyncConnection, holder: str, exchange: str, patterns: Sequence[str]
) -> list[tuple[str, str]]:
    """Note what `holder`, a queue or exchange of ours, is bound with; answers the bindings of former settings.

    They stay on record, so that they are removed for sure, however often that is interrupted.
    """
    known = await read_controls(connection)
    told = known[BINDINGS][0] if BINDINGS in known else {"queue": holder, "bindings": []}
    former = {(one[0], one[1]) for one in told["bindings"] if told["queue"] == holder}
    now = {(exchange, pattern) for pattern in patterns}
    if now - former:
        await set_control(connection, BINDINGS, {"queue": holder, "bindings": sorted(now | former)})
    return sorted(former - now)


def known_queues(known: Mapping[str, tuple[Any, datetime]]) -> list[str]:
    """The queues on record, of all controls."""
    more = [name.partition(":")[2] for name in sorted(known) if name.startswith(f"{QUEUE}:")]
    return [*([known[QUEUE][0]] if QUEUE in known else []), *more]


async def set_queues(connection: AsyncConnection, names: Sequence[str]) -> None:
    """Put our queues on record; each more than the first has a control of its own, so replicas may do so at once."""
    first, *more = names
    await set_control(connection, QUEUE, first)
    for name in more:
        await set_control(connection, f"{QUEUE}:{name}", {})


async def forget_queue(connection: AsyncConnection, name: str) -> None:
    """A queue of former settings is no more."""
    await clear_control(connection, f"{QUEUE}:{name}")


async def heartbeat(connection: AsyncConnection, replica_id: str, started_at: datetime, status: dict[str, Any]) -> None:
    """Tell the others that this replica lives, and how it is."""
    values = {
        "replica_id": replica_id,
        "started_at": started_at,
        "seen_at": store_now(connection.dialect.name),
        "status": json.dumps(status),
    }
    await _set(connection, replicas, "replica_id", values)


async def leave(connection: AsyncConnection, replica_id: str) -> None:
    """This replica has stopped in good order."""
    await connection.execute(sa.delete(replicas).where(replicas.c.replica_id == replica_id))


async def live_replicas(connection: AsyncConnection, store: Store) -> list[Any]:
    """Replicas that were heard of lately."""
    recent = replicas.c.seen_at > store.later(-REPLICA_GONE_S)
    return list(await connection.execute(sa.select(replicas).where(recent).order_by(replicas.c.replica_id)))


async def ensure_targets(connection: AsyncConnection, names: Sequence[str]) -> None:
    """Have a row for every target."""
    for name in sorted(names):
        insert = insert_into(connection.dialect.name, target_states).values(target=name)
        await connection.execute(insert.on_conflict_do_nothing(index_elements=["target"]))


async def read_targets(connection: AsyncConnection) -> list[Any]:
    """All targets by name."""
    return list(await connection.execute(sa.select(target_states).order_by(target_states.c.target)))


async def pause_target(connection: AsyncConnection, name: str, *, paused: bool, reason: str | None = None) -> bool:
    """Pause or resume a target; answers whether there is one of that name."""
    values = {"paused": paused, "pause_reason": reason if paused else None}
    update = sa.update(target_states).where(target_states.c.target == name).values(values)
    return bool((await connection.execute(update)).rowcount)


async def note_target(connection: AsyncConnection, name: str, notice: str | None) -> None:
    """Say why a target's circuit is open; None: it is closed."""
    await connection.execute(sa.update(target_states).where(target_states.c.target == name).values(notice=notice))


async def record_gap(connection: AsyncConnection, kind: str, detail: str, began_at: datetime | None) -> None:
    """Record that events may have been lost, unless the same is on record and open."""
    open_one = sa.select(sa.func.count()).where(
        gaps.c.kind == kind, gaps.c.closed_at.is_(None), gaps.c.detail == detail
    )
    if (await connection.execute(open_one)).scalar_one():
        return
    now = store_now(connection.dialect.name)
    values = {"gap_id": uuid4().hex, "kind": kind, "detail": detail, "began_at": began_at, "noticed_at": now}
    await connection.execute(insert_into(connection.dialect.name, gaps).values(values))


async def open_gaps(connection: AsyncConnection) -> list[Any]:
    """Gaps that nobody has closed."""
    return list(await connection.execute(sa.select(gaps).where(gaps.c.closed_at.is_(None)).order_by(gaps.c.noticed_at)))


async def close_gap(connection: AsyncConnection, gap_id: str) -> bool:
    """Close one gap, because a person says that nothing is missing; answers whether it was open."""
    this = sa.and_(gaps.c.gap_id == gap_id, gaps.c.closed_at.is_(None))
    now = store_now(connection.dialect.name)
    return bool((await connection.execute(sa.update(gaps).where(this).values(closed_at=now))).rowcount)


async def close_gaps(connection: AsyncConnection, noticed_before: datetime) -> int:
    """Close the gaps that were noticed before a moment: everything was compared since. Answers how many."""
    now = store_now(connection.dialect.name)
    old = sa.and_(gaps.c.closed_at.is_(None), gaps.c.noticed_at < noticed_before)
    return int((await connection.execute(sa.update(gaps).where(old).values(closed_at=now))).rowcount)


async def suspected(connection: AsyncConnection, message_key: str) -> int:
    """How often this message was about to be handled alone and its effects were not committed."""
    query = sa.select(suspects.c.met).where(suspects.c.message_key == message_key)
    return (await connection.execute(query)).scalar_one_or_none() or 0


async def meet_suspect(connection: AsyncConnection, message_key: str, routing_key: str) -> None:
    """Note that this message is about to be handled alone."""
    now = store_now(connection.dialect.name)
    values = {"message_key": message_key, "routing_key": routing_key, "met": 1, "last_at": now}
    insert = insert_into(connection.dialect.name, suspects).values(values)
    again = insert.on_conflict_do_update(
        index_elements=["message_key"], set_={"met": suspects.c.met + 1, "last_at": now}
    )
    await connection.execute(again)


async def take_back_suspects(connection: AsyncConnection, message_keys: Sequence[str]) -> None:
    """Who noted these has lived on: one meeting of each is no death that it could be blamed for."""
    known = suspects.c.message_key.in_(message_keys)
    await connection.execute(sa.update(suspects).where(known).values(met=suspects.c.met - 1))
    await connection.execute(sa.delete(suspects).where(known, suspects.c.met <= 0))


async def clear_suspects(connection: AsyncConnection, message_keys: Sequence[str]) -> None:
    """These messages were handled, or became dead letters."""
    await connection.execute(sa.delete(suspects).where(suspects.c.message_key.in_(message_keys)))
