"""The store: bring its schema up to date, give large tables parts, and derive again what is derived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from service.errors import UsageError
from service.mirror import schema
from service.mirror.partitions import moving
from service.mirror.rebuild import rebuild as rebuilt
from service.mirror.store import Store
from service.openlineage.naming import Naming
from service.openlineage.renaming import Renaming
from service.operations.acting import Act
from service.operations.work import Desk, Tell, Work
from service.pipeline.building import pipeline_of
from service.pipeline.rederiving import rederive
from service.settings.model import Settings
from service.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A schema that is up to date: where, from which revision (None: empty), to which."""

    where: str
    before: str | None
    after: str


async def upgrade(settings: Settings, act: Act) -> Upgraded:
    """Bring the schema of the store up to date, with the role of migrations; does nothing where it is.

    Raises:
        StoreUnavailable, StoreNotWritable, SchemaLocked: with what to do.
    """
    store = Store(settings.store, migrating=True)
    try:
        store.check_writable()
        before = await schema.current(store)
        after = await schema.upgrade(store)
        if before != after:
            async with store.writing() as connection:
                await act.record(connection, "store.upgrade", store.where, {"before": before, "after": after})
        return Upgraded(store.where, before, after)
    finally:
        await store.close()


async def partition(
    settings: Settings,
    names: Sequence[str],
    parts: int,
    act: Act,
    *,
    keep: bool = False,
    tell: moving.Tell | None = None,
) -> list[moving.Moved]:
    """Give tables so many parts, one after the other, with the role of migrations; may be repeated.

    Args:
        keep: leave what the tables were before, under other names.
        tell: given the table at hand, and how many rows were looked at.

    Raises:
        UsageError: the store is not PostgreSQL, or has no such table to cut.
        PartitionRefused, CopyDiffers, StoreUnavailable, SchemaLocked: as `moving.move`.
    """
    if not settings.store.url.get_secret_value().startswith("postgres"):
        raise UsageError(problem="parts of a table are PostgreSQL's; SQLite has none")
    if unknown := sorted(set(names) - moving.TABLES.keys()):
        there = ", ".join(sorted(moving.TABLES))
        raise UsageError(problem=f"{', '.join(unknown)} cannot have parts", advice=f"These can: {there}.")
    store = Store(settings.store, migrating=True)
    done = []
    try:
        for name in dict.fromkeys(names):
            moved = await moving.move(store, moving.TABLES[name], parts, keep=keep, tell=tell)
            done.append(moved)
            if moved.before != moved.after:
                async with store.writing() as connection:
                    await act.record(connection, "store.partition", name, asdict(moved))
    finally:
        await store.close()
    return done


async def rebuild(
    store: Store, settings: Settings, act: Act, *, everything: bool, tell: Callable[[Counter[str], str], None]
) -> Counter[str]:  # fmt: skip
    """Derive columns again from documents, and lineage from the OpenLineage events as they came.

    Args:
        everything: also rows that this version of the code made.
        tell: given how many rows of each kind there are so far, and the kind at hand.

    Returns:
        Rows by kind.
    """
    naming = Naming(settings.openlineage.names, "CATALOG_MIRROR_OPENLINEAGE__NAMES")
    renaming = Renaming(settings.lineage.names)
    counts: Counter[str] = Counter()
    async with store.translated():
        async for kind, number in rebuilt(store, everything=everything):
            counts[kind] += number
            tell(counts, kind)
        pipeline = pipeline_of(settings, store, Metrics())
        async for number in rederive(store, pipeline, naming, renaming):
            counts["lineage_event"] += number
            tell(counts, "lineage_event")
    async with store.writing() as connection:
        await act.record(connection, "mirror.rebuild", "the mirror", {"everything": everything, "rows": dict(counts)})
    return counts


async def begin_rebuild(desk: Desk, store: Store, settings: Settings, act: Act, *, everything: bool) -> Work:
    """The same as work that goes on after this has answered; tells rows by kind.

    Raises:
        TooMuchWork: this process has enough to do.
    """

    async def job(tell: Tell) -> dict[str, int]:
        return dict(await rebuild(store, settings, act, everything=everything, tell=lambda counts, _: tell(counts)))

    return await desk.begin("mirror.rebuild", act, job)
