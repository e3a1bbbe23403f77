"""The ledger of what Collibra has: per thing the command that it took last, and what is on its way.

`pending` is written down before anything is sent, so whoever dies meanwhile leaves a thing that is in doubt: it is told
again, which under its external id makes nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror import deliveries
from service.mirror.bulk import insert_into, key_in
from service.mirror.clock import store_now
from service.mirror.deliveries import Delivery
from service.mirror.store import Store
from service.mirror.tables import asset_terms
from service.mirror.tables import collibra_assets as table
from service.targets.collibra_assets.things import Entity
from service.text.documents import column_text

TOLD, GONE = "told", "gone"
#: How a delivery's change is called, where a thing can be told whole at last.
COMPLETED = "RelationPossible"
#: Rows that one statement names at most.
_CHUNK = 1_000
_row = table.c


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a thing there."""

    external_id: str
    entity: Entity
    kind: str
    name: str
    #: The command that was taken last; None: none was.
    command: dict[str, Any] | None
    #: What was sent and not answered for yet.
    is_pending: bool
    job_id: str | None
    is_gone: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """What is sent of a thing: its row once it is taken."""

    external_id: str
    entity: Entity
    kind: str
    name: str
    command: str
    is_gone: bool
    #: An external id that it has a relation to, and that Collibra does not know yet.
    waits_for: str | None


def _chunks(ids: Collection[str]) -> list[list[str]]:
    listed = sorted(ids)
    return [listed[start : start + _CHUNK] for start in range(0, len(listed), _CHUNK)]


async def of_entities(
    connection: AsyncConnection, target: str, entities: Collection[Entity]
) -> dict[Entity, list[Known]]:
    """What is known of these things, and of what goes with them."""
    found: dict[Entity, list[Known]] = {entity: [] for entity in entities}
    for chunk in _chunks({entity_id for _, entity_id in entities}):
        query = sa.select(table).where(_row.target == target, key_in(connection, _row.entity_id, chunk))
        for row in await connection.execute(query.order_by(_row.external_id)):
            known = _known(row)
            if known.entity in found:
                found[known.entity].append(known)
    return found


def _known(row: Any) -> Known:
    command = json.loads(row.command) if row.command else None
    entity = row.entity_kind, row.entity_id
    is_pending = row.pending is not None
    return Known(row.external_id, entity, row.kind, row.name, command, is_pending, row.job_id, row.state == GONE)


async def there(connection: AsyncConnection, target: str, external_ids: Collection[str]) -> set[str]:
    """Which of these Collibra has."""
    found: set[str] = set()
    for chunk in _chunks(external_ids):
        mine = (_row.target == target, key_in(connection, _row.external_id, chunk), _row.command.is_not(None))
        found |= set((await connection.execute(sa.select(_row.external_id).where(*mine))).scalars())
    return found


async def begin(connection: AsyncConnection, target: str, sent: Sequence[Sent]) -> None:
    """Write down what is about to be sent."""
    if not sent:
        return
    rows = [
        {
            "target": target, "external_id": one.external_id, "entity_kind": one.entity[0], "entity_id": one.entity[1],
            "kind": one.kind, "name": column_text(one.name), "pending": one.command, "job_id": None,
            "state": GONE if one.is_gone else TOLD, "waits_for": one.waits_for,
        }
        for one in sorted(sent, key=lambda one: one.external_id)
    ]  # fmt: skip
    insert = insert_into(connection.dialect.name, table)
    new = {name: insert.excluded[name] for name in rows[0] if name not in ("target", "external_id", "state")}
    upsert = insert.on_conflict_do_update(index_elements=["target", "external_id"], set_=new)
    await connection.execute(upsert, rows)


async def note_job(connection: AsyncConnection, target: str, external_ids: Collection[str], job_id: str) -> None:
    """They are this job now."""
    await _update(connection, target, external_ids, {"job_id": job_id})


async def accept(connection: AsyncConnection, store: Store, target: str, job_id: str, sent: Sequence[Sent]) -> None:
    """Collibra has taken these in that job; whoever waited for one of them to be there is told of again."""
    now = store_now(connection.dialect.name)
    terms = await _new_terms(connection, target, job_id)
    for state, mine in ((TOLD, [one for one in sent if not one.is_gone]), (GONE, [one for one in sent if one.is_gone])):
        values = {"command": _row.pending, "pending": None, "job_id": None, "told_at": now, "state": state}
        ids = [one.external_id for one in mine]
        await _update(connection, target, ids, values, _row.job_id == job_id, _row.pending.is_not(None))
    ends = {one.external_id for one in sent if not one.is_gone}
    waiting = await _waiting_for(connection, target, ends)
    waiting |= await _assigned_to(connection, target, terms)
    new = [
        Delivery(f"{target}:{kind}:{id_}:{end}", target, kind, id_, COMPLETED)
        for (kind, id_), end in sorted(waiting.items())
    ]
    await deliveries.create(connection, new)


async def refuse(connection: AsyncConnection, target: str, job_id: str | None, external_ids: Collection[str]) -> None:
    """Collibra has not taken these (in that job): what it had of them before, it has."""
    mine = _row.job_id.is_(None) if job_id is None else _row.job_id == job_id
    await _update(connection, target, external_ids, {"pending": None, "job_id": None}, mine)


async def doubt(connection: AsyncConnection, target: str, job_id: str) -> None:
    """What became of a job's things is not known: they are told again."""
    mine = (_row.target == target, _row.job_id == job_id)
    await connection.execute(sa.update(table).where(*mine).values(job_id=None))


async def leave(connection: AsyncConnection, target: str, external_ids: Collection[str]) -> None:
    """The catalog has these no longer; there they stay as they are."""
    await _update(connection, target, external_ids, {"state": GONE})


async def take_out(connection: AsyncConnection, target: str, external_ids: Collection[str]) -> None:
    """Collibra has these no longer."""
    for chunk in _chunks(external_ids):
        mine = (_row.target == target, key_in(connection, _row.external_id, chunk))
        await connection.execute(sa.delete(table).where(*mine))


async def of_job(connection: AsyncConnection, target: str, job_id: str) -> list[Sent]:
    """What was sent in a job."""
    query = sa.select(table).where(_row.target == target, _row.job_id == job_id)
    return [
        Sent(
            row.external_id, (row.entity_kind, row.entity_id), row.kind, row.name, row.pending,
            is_mark(json.loads(row.pending)), None,
        )
        for row in await connection.execute(query.where(_row.pending.is_not(None)))
    ]  # fmt: skip


def is_mark(command: Mapping[str, Any]) -> bool:
    """Whether a command only marks a thing as gone: it says nothing else of it."""
    return set(command) == {"status"}


async def perhaps_gone(connection: AsyncConnection, target: str, after: str, limit: int) -> list[Known]:
    """What Collibra has and the catalog may have no longer, in the order of external ids."""
    query = sa.select(table).where(_row.target == target, _row.external_id > after, _row.command.is_not(None))
    query = query.where(sa.or_(_row.state == GONE, *(_is_of_none(kind, view) for kind, view in _VIEWS.items())))
    return [_known(row) for row in await connection.execute(query.order_by(_row.external_id).limit(limit))]


_VIEWS = {"asset": "v1_assets", "artifact": "v1_artifacts"}


def _is_of_none(kind: str, view: str) -> sa.ColumnElement[bool]:
    """Whether a row goes with a thing that the views do not show."""
    shown = sa.table(view, sa.column(f"{kind}_id"))
    return sa.and_(_row.entity_kind == kind, ~sa.exists().where(shown.c[f"{kind}_id"] == _row.entity_id))


async def counts(connection: AsyncConnection, target: str) -> dict[str, int]:
    """How many things Collibra has, by kind; those among them that are gone in the catalog as `gone`."""
    what = sa.case((_row.state == GONE, GONE), else_=_row.kind)
    query = sa.select(what, sa.func.count()).where(_row.target == target, _row.command.is_not(None)).group_by(what)
    return {row[0]: row[1] for row in await connection.execute(query)}


async def _update(
    connection: AsyncConnection, target: str, external_ids: Collection[str], values: Mapping[str, Any], *more: Any
) -> None:
    for chunk in _chunks(external_ids):
        mine = (_row.target == target, key_in(connection, _row.external_id, chunk), *more)
        await connection.execute(sa.update(table).where(*mine).values(**values))


async def _new_terms(connection: AsyncConnection, target: str, job_id: str) -> list[str]:
    """Artifacts of a job that Collibra did not have before."""
    mine = (_row.target == target, _row.job_id == job_id, _row.pending.is_not(None), _row.kind == "artifact")
    is_new = sa.or_(_row.command.is_(None), _row.state == GONE)
    return list((await connection.execute(sa.select(_row.entity_id).where(*mine, is_new))).scalars())


async def _waiting_for(connection: AsyncConnection, target: str, ends: Collection[str]) -> dict[Entity, str]:
    """Things that have a relation to one of these external ids, and were told without it."""
    waiting: dict[Entity, str] = {}
    for chunk in _chunks(ends):
        query = sa.select(table).where(_row.target == target, key_in(connection, _row.waits_for, chunk))
        for row in await connection.execute(query.where(_row.pending.is_(None))):
            waiting[row.entity_kind, row.entity_id] = row.waits_for
    return waiting


async def _assigned_to(connection: AsyncConnection, target: str, terms: Collection[str]) -> dict[Entity, str]:
    """Assets that Collibra was told of, and that have, or whose columns have, one of these terms; with the term."""
    found: dict[Entity, str] = {}
    term = asset_terms.c
    for chunk in _chunks(terms):
        told = sa.exists().where(_row.target == target, _row.entity_id == term.asset_id, _row.entity_kind == "asset")
        query = sa.select(term.asset_id, term.term_id).where(key_in(connection, term.term_id, chunk), told)
        for row in await connection.execute(query.where(term.standing == "assigned")):
            found["asset", row.asset_id] = row.term_id
    return found
