"""Assets in Collibra that the catalog has no longer: list them, and remove them there because a person says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.store import Store
from service.operations.acting import Act, Conflict, Unknown
from service.operations.targets import installed
from service.operations.work import Desk, Tell, Work
from service.settings.model import Settings
from service.targets.collibra_assets import ledger
from service.targets.collibra_assets.ledger import Known
from service.targets.collibra_assets.target import CollibraAssets
from service.targets.collibra_assets.things import drafts_of

#: Rows of the ledger that are looked at together, and assets that are removed by one call.
PAGE, AT_ONCE = 500, 100


class NoSuchCollibra(Unknown):
    """{name} imports no assets into Collibra."""

    remedy = "`catalog-mirror targets list` shows the targets."


class TooManyDeletions(Conflict):
    """{number} of the {all} things that Collibra has would be removed there, so none was."""

    remedy = "Look at the list first: is the mirror whole? If it is meant so, say `--beyond-brake`, too."


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something in Collibra that the catalog has no longer."""

    external_id: str
    kind: str
    name: str
    #: Of the asset or artifact that it goes with.
    entity_id: str


@dataclass(frozen=True, slots=True)
class Deletions:
    """What the catalog has no longer, of how many things in all; and how many of them were removed there."""

    orphans: tuple[Orphan, ...]
    all: int
    removed: int


def chosen(settings: Settings, name: str) -> CollibraAssets:
    """The target of this name, for work by hand; raises `NoSuchCollibra` where it is none of this kind."""
    target = installed(settings, name)
    if not isinstance(target, CollibraAssets):
        raise NoSuchCollibra(name=name)
    return target


def is_one(settings: Settings, name: str) -> bool:
    """Whether a target is of this kind."""
    return (settings.target(name).kind or name) == "collibra_assets"


async def deletions(store: Store, settings: Settings, name: str) -> Deletions:
    """What the target's Collibra still has of what is gone; changes nothing."""
    target = chosen(settings, name)
    try:
        return await _found(store, target)
    finally:
        await target.close()


async def remove(
    store: Store, settings: Settings, name: str, act: Act, *,
    beyond_brake: bool = False, at_most: int | None = None, tell: Callable[[int], None] | None = None,
) -> Deletions:  # fmt: skip
    """Remove there what the catalog has no longer.

    Args:
        at_most: so many of them, the first ones; the brake counts all.
        tell: given how many are removed so far.

    Raises:
        TooManyDeletions: it is a large part of all (`SYNC__BRAKE_ROWS`, `SYNC__BRAKE_SHARE`); none was removed.
        TargetUnavailable, DeliveryRejected: Collibra did not remove them all; what it removed is known.
    """
    target = chosen(settings, name)
    try:
        found = await _found(store, target)
        number = len(found.orphans)
        if settings.sync.is_mass_deletion(number, found.all) and not beyond_brake:
            raise TooManyDeletions(number=number, all=found.all)
        removed, chosen_ones = 0, found.orphans[:at_most]
        for start in range(0, len(chosen_ones), AT_ONCE):
            some = chosen_ones[start : start + AT_ONCE]
            await _remove(target, [one.external_id for one in some])
            async with store.writing() as connection:
                await ledger.take_out(connection, name, [one.external_id for one in some])
                await act.record(connection, "collibra.remove", name, {"assets": [one.external_id for one in some]})
            removed += len(some)
            if tell:
                tell(removed)
        return Deletions(found.orphans, found.all, removed)
    finally:
        await target.close()


async def begin_remove(
    desk: Desk, store: Store, settings: Settings, name: str, act: Act, *, beyond_brake: bool = False
) -> Work:
    """The same as work that goes on after this has answered.

    Raises:
        NoSuchCollibra, TargetUnknown: there is no such target.
        TooMuchWork: this process has enough to do.
    """
    await chosen(settings, name).close()

    async def job(tell: Tell) -> dict[str, int]:
        done = await remove(
            store, settings, name, act, beyond_brake=beyond_brake, tell=lambda removed: tell({"removed": removed})
        )
        return {"removed": done.removed}

    return await desk.begin("collibra.remove", act, job)


async def _remove(target: CollibraAssets, external_ids: Sequence[str]) -> None:
    """Remove assets, then what Collibra keeps of their external ids; what somebody removed there before is gone."""
    system = target.options.external_system
    found = [await target.imports.asset_of(system, one) for one in external_ids]
    if ids := [one for one in found if one]:
        await target.imports.remove(ids)
    for one in external_ids:
        await target.imports.forget(system, one)


async def _found(store: Store, target: CollibraAssets) -> Deletions:
    orphans: list[Orphan] = []
    async with store.reading() as connection:
        number = sum((await ledger.counts(connection, target.name)).values())
    after = ""
    while True:
        async with store.reading() as connection:
            rows = await ledger.perhaps_gone(connection, target.name, after, PAGE)
            orphans += await _orphans(connection, target, rows)
        if len(rows) < PAGE:
            return Deletions(tuple(orphans), number, 0)
        after = rows[-1].external_id


async def _orphans(connection: AsyncConnection, target: CollibraAssets, rows: Sequence[Known]) -> list[Orphan]:
    """Those of these that are not in the mirror; what is only not mapped any more is none of them."""
    drafts = await drafts_of(connection, target.mapping, {one.entity for one in rows})
    found = []
    for one in rows:
        theirs = drafts[one.entity]
        still = one.kind != "column" or not theirs or one.external_id in {draft.external_id for draft in theirs}
        if theirs is None or (one.is_gone and not still):
            found.append(Orphan(one.external_id, one.kind, one.name, one.entity[1]))
    return found
