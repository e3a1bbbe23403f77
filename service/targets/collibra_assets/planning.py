"""What a batch of deliveries comes to: commands for what differs from what Collibra took last, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.deliveries import Delivery
from service.targets.collibra_assets import ledger
from service.targets.collibra_assets.commands import Draft, as_text, identified, in_order
from service.targets.collibra_assets.ledger import Known, Sent
from service.targets.collibra_assets.mapping import AssetMapping, named
from service.targets.collibra_assets.things import Entity, drafts_of

#: Characters of a value that are shown.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Part:
    """One command of an import: for which delivery, what the ledger keeps of it, and what Collibra had before."""

    delivery: Delivery
    sent: Sent
    command: dict[str, Any]
    before: Mapping[str, Any] | None

    def change(self) -> str:
        """What it changes there, for people."""
        what = f"{self.sent.kind} {self.sent.name!r} ({self.sent.external_id})"
        if self.sent.is_gone:
            return f"mark {what}: gone in the catalog"
        if self.before is None:
            return f"create {what}"
        return f"change {what}: {'; '.join(_differences(self.before, json.loads(self.sent.command))) or 'told again'}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it."""

    parts: list[Part]
    #: What the catalog has no longer, and nobody marks.
    left: set[str]
    #: How many things are as Collibra has them.
    unchanged: int


async def plan_of(
    connection: AsyncConnection, target: str, system: str, mapping: AssetMapping, batch: Sequence[Delivery]
) -> Plan:
    """What a batch comes to now."""
    deliveries = {(one.entity_kind, one.entity_id): one for one in batch}
    drafts = await drafts_of(connection, mapping, deliveries)
    known = await ledger.of_entities(connection, target, deliveries)
    ends = {end for some in drafts.values() for one in some or () for told in one.ends.values() for end in told}
    there = await ledger.there(connection, target, ends)
    plan = Plan([], set(), 0)
    unchanged = 0
    for entity, delivery in deliveries.items():
        mine = {one.external_id: one for one in known[entity]}
        theirs = drafts[entity]
        reached = there | {one.external_id for one in theirs or () if one.kind == "asset"}
        for one in in_order(theirs or ()):
            part = _part(delivery, entity, one, mine.get(one.external_id), reached, system)
            unchanged += part is None
            plan.parts.extend([part] if part else [])
        for gone in _gone(mapping, theirs, mine):
            _let_go(plan, delivery, gone, mapping, system)
    return Plan(plan.parts, plan.left, unchanged)


def _part(
    delivery: Delivery, entity: Entity, draft: Draft, known: Known | None, there: Collection[str], system: str
) -> Part | None:
    """The command that a thing needs; None: Collibra has it so."""
    command = draft.command(there)
    is_new = known is None or known.command is None or known.is_gone
    if known and not is_new and not known.is_pending and known.command == json.loads(as_text(command)):
        return None
    status = {"status": named(draft.status)} if draft.status and is_new else {}
    sent = Sent(
        draft.external_id, entity, draft.kind, draft.name, as_text(command), False, draft.lacking(there)
    )  # fmt: skip
    before = known.command if known and not known.is_gone else None
    return Part(delivery, sent, identified(system, draft.external_id, command | status), before)


def _gone(mapping: AssetMapping, drafts: Sequence[Draft] | None, known: Mapping[str, Known]) -> Iterator[Known]:
    """What Collibra has and the catalog has no longer; what is only not mapped any more stays as it is."""
    if drafts is not None and not drafts:
        return
    kinds = {"asset", "artifact", "column"} if drafts is None or mapping.columns else {"asset", "artifact"}
    still = {one.external_id for one in drafts or ()}
    for one in known.values():
        is_open = one.command is not None and (one.is_pending or not one.is_gone)
        if is_open and one.kind in kinds and one.external_id not in still:
            yield one


def _let_go(plan: Plan, delivery: Delivery, known: Known, mapping: AssetMapping, system: str) -> None:
    if mapping.deleted is None:
        plan.left.add(known.external_id)
        return
    command = {"status": named(mapping.deleted.status)}
    sent = Sent(known.external_id, known.entity, known.kind, known.name, as_text(command), True, None)
    plan.parts.append(Part(delivery, sent, identified(system, known.external_id, command), known.command))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Each field that differs, with what it was and what it is."""
    old, new = dict(_fields(before)), dict(_fields(now))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name} {_shown(old.get(name))} → {_shown(new.get(name))}"


def _fields(command: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in command.items():
        if name in ("attributes", "relations", "responsibilities"):
            yield from value.items()
        else:
            yield name, value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        value = [one.get("value", one) if isinstance(one, dict) else one for one in value]
        value = value[0] if len(value) == 1 else value or None
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
