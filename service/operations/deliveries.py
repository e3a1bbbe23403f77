"""Deliveries: what is on its way to targets, and letting it go at once or at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from service.mirror import controls, deliveries
from service.mirror.store import Store
from service.operations.acting import Act

#: What it is done to, in the audit log.
_EVERY_TARGET = "every target"


@dataclass(frozen=True, slots=True)
class Pending:
    """A change on its way to a target."""

    #: The place in the outbox; a later one is larger.
    seq: int
    delivery_id: str
    target: str
    entity_kind: str
    entity_id: str
    change: str
    created_at: datetime
    due_at: datetime
    attempts: int
    last_error: str | None
    #: A replica has it in hand until then, by this token.
    lease_token: str | None
    lease_until: datetime | None


@dataclass(frozen=True, slots=True)
class Released:
    """Deliveries that may go out again; `number` is None where none were held."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Retried:
    """Deliveries that are due now."""

    number: int


async def pending(store: Store, target: str | None = None, limit: int = 50, after: int | None = None) -> list[Pending]:
    """Open deliveries, the oldest first; `after`: those that follow on this place in the outbox."""
    async with store.reading() as connection:
        rows = await deliveries.pending(connection, target, limit, after)
    return [Pending(*(getattr(row, field.name) for field in fields(Pending))) for row in rows]


async def held(store: Store) -> str | None:
    """Why every delivery is held; None: none is."""
    async with store.reading() as connection:
        value = await controls.read_control(connection, controls.HELD)
    return None if value is None else str(value.get("reason", ""))


async def release(store: Store, act: Act) -> Released:
    """Let deliveries go that were held because the store had been restored from a backup."""
    async with store.writing() as connection:
        if not await controls.clear_control(connection, controls.HELD):
            return Released(None)
        number = await deliveries.count(connection)
        await act.record(connection, "deliveries.release", _EVERY_TARGET, {"number": number})
        return Released(number)


async def retry(store: Store, target: str | None, ids: Sequence[str], act: Act) -> Retried:
    """Make pending deliveries due at once, instead of after their pause.

    Args:
        target: only of this one.
        ids: of them, or their first characters; none: all.
    """
    async with store.writing() as connection:
        number = await deliveries.retry_now(connection, target, ids)
        await act.record(connection, "deliveries.retry", target or _EVERY_TARGET, {"number": number})
        return Retried(number)
