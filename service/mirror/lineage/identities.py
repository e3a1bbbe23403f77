"""One data set, several names: which names events say to be the same, and the one of them that stands for all.

Edges stay as they were told. Links between names are facts of events, too (`dataset_links`), and go with them. What
follows of all links together is derived (`dataset_identities`): names that links lead from and to, directly or not, are
one data set. It is written in the transaction that changes a link, so a walk finds it in one step.

An asset of the catalog stands for its data set's other names; of several, and of none, the name that sorts first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import among, key_in, row_insert
from service.mirror.tables import dataset_identities, dataset_links

log = structlog.get_logger(__name__)

#: Names that one data set may have. More of them hang together by mistake, or by malice: then each stands for itself.
MAX_NAMES = 1000
#: Names the advisory lock of who changes links: two that do so at once would each not see what the other links.
_LOCK = 7_283_412_002

_links = row_insert(dataset_links, "nothing")
_identities = row_insert(dataset_identities, "nothing")

Pair = tuple[str, str]


async def same_as(connection: AsyncConnection, asset_ids: Collection[str]) -> list[str]:
    """These ids, and every other name of the same data sets."""
    known, other = dataset_identities.c, dataset_identities.alias("other").c
    query = sa.select(other.asset_id).where(
        other.identity_id == known.identity_id, among(connection, known.asset_id, asset_ids)
    )
    return sorted({*asset_ids, *(await connection.execute(query)).scalars()})


async def identities_of(connection: AsyncConnection, asset_ids: Collection[str]) -> dict[str, str]:
    """What stands for these ids, for those that have further names."""
    known = dataset_identities.c
    query = sa.select(known.asset_id, known.identity_id).where(among(connection, known.asset_id, asset_ids))
    return {row.asset_id: row.identity_id for row in await connection.execute(query)}


async def any_names(connection: AsyncConnection) -> bool:
    """Whether any data set has several names."""
    return (await connection.execute(sa.select(dataset_identities.c.asset_id).limit(1))).first() is not None


async def names_of(connection: AsyncConnection, asset_ids: Collection[str]) -> dict[str, list[str]]:
    """All names of these data sets, for those that have several, by the id that was given."""
    known, other = dataset_identities.c, dataset_identities.alias("other").c
    query = sa.select(known.asset_id, other.asset_id).where(
        other.identity_id == known.identity_id, among(connection, known.asset_id, asset_ids)
    )
    found: dict[str, list[str]] = {}
    for asset_id, name in (await connection.execute(query)).all():
        found.setdefault(asset_id, []).append(name)
    return found


async def identity_of(connection: AsyncConnection, asset_id: str) -> str:
    """What stands for this id; itself, where it has no further name."""
    return (await identities_of(connection, [asset_id])).get(asset_id, asset_id)


async def link(connection: AsyncConnection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write links that events tell, in the order of the columns above: of each facet the newest count."""
    if not rows:
        return
    await _alone(connection)
    facets = sorted({row[0] for row in rows})
    before = await _pairs_of(connection, facets)
    await _links.run(connection, rows)
    there, newer = dataset_links.c, dataset_links.alias("newer").c
    replaced = sa.exists().where(newer.facet_id == there.facet_id, newer.version > there.version)
    await connection.execute(sa.delete(dataset_links).where(key_in(connection, there.facet_id, facets), replaced))
    after = await _pairs_of(connection, facets)
    await _settle(connection, before - after, after - before)


async def unlink(connection: AsyncConnection, event_ids: Sequence[str]) -> None:
    """Remove the links that these lineage events told."""
    mine = key_in(connection, dataset_links.c.event_id, event_ids)
    if (await connection.execute(sa.select(dataset_links.c.event_id).where(mine).limit(1))).first() is None:
        return
    await _alone(connection)
    removed = sa.delete(dataset_links).where(mine).returning(dataset_links.c.asset_id, dataset_links.c.other_id)
    gone = {(asset_id, other_id) for asset_id, other_id in await connection.execute(removed) if other_id}
    await _settle(connection, gone, set())


async def _alone(connection: AsyncConnection) -> None:
    """Wait for who else changes links, until the end of that transaction; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


async def _pairs_of(connection: AsyncConnection, facets: Sequence[str]) -> set[Pair]:
    there = dataset_links.c
    query = sa.select(there.asset_id, there.other_id).distinct()
    rows = await connection.execute(query.where(key_in(connection, there.facet_id, facets), there.other_id != ""))
    return {(row.asset_id, row.other_id) for row in rows}


async def _settle(connection: AsyncConnection, gone: set[Pair], new: set[Pair]) -> None:
    """Derive again what follows of links for all that these pairs may have joined or parted."""
    known = await identities_of(connection, sorted({name for pair in (*gone, *new) for name in pair}))
    apart = {pair for pair in new if pair[0] not in known or known[pair[0]] != known.get(pair[1])}
    touched = {name for pair in (*gone, *apart) for name in pair}
    if not touched:
        return
    old = dataset_identities.c
    stood = sorted({known[name] for name in touched if name in known})
    query = sa.select(old.asset_id, old.identity_id).where(among(connection, old.identity_id, stood))
    former = {row.asset_id: row.identity_id for row in await connection.execute(query)}
    derived = await _derived(connection, touched | former.keys())
    changed = sorted(name for name, identity in former.items() if derived.get(name) != identity)
    if changed:
        await connection.execute(sa.delete(dataset_identities).where(among(connection, old.asset_id, changed)))
    await _identities.run(connection, [row for row in derived.items() if former.get(row[0]) != row[1]])


async def _derived(connection: AsyncConnection, names: Iterable[str]) -> dict[str, str]:
    """What stands for each of these names and of those that links lead to, where there are several."""
    groups, assets = _Groups(), set[str]()
    front = set(names)
    seen: set[str] = set()
    while front := {name for name in front - seen if len(groups.members(name)) <= MAX_NAMES}:
        seen |= front
        reached: set[str] = set()
        for one, is_asset, other, other_is_asset in await _neighbours(connection, sorted(front)):
            groups.join(one, other)
            assets |= {name for name, known in ((one, is_asset), (other, other_is_asset)) if known}
            reached |= {one, other}
        front = reached
    derived: dict[str, str] = {}
    for members in groups.all():
        if len(members) > MAX_NAMES:
            log.warning("dataset_has_too_many_names", asset_id=min(members), more_than=MAX_NAMES)
        elif len(members) > 1:
            derived |= dict.fromkeys(members, min(members, key=lambda name: (name not in assets, name)))
    return derived


async def _neighbours(connection: AsyncConnection, names: Sequence[str]) -> list[tuple[str, bool, str, bool]]:
    """What links lead to from each of these names, as far as that may still be one data set."""
    there = dataset_links.c
    ends = (there.asset_id, there.is_asset), (there.other_id, there.other_is_asset)
    found: list[tuple[str, bool, str, bool]] = []
    for near, far in (ends, ends[::-1]):
        place = sa.func.dense_rank().over(partition_by=near[0], order_by=far[0]).label("place")
        here = sa.select(*near, *far, place).where(among(connection, near[0], names), there.other_id != "").subquery()
        one, is_asset, other, other_is_asset, number = here.c
        query = sa.select(one, is_asset, other, other_is_asset).where(number <= MAX_NAMES).distinct()
        found += [tuple(row) for row in await connection.execute(query)]
    return found


class _Groups:
    """Names that hang together, as far as they are known."""

    def __init__(self) -> None:
        self._of: dict[str, set[str]] = {}

    def members(self, name: str) -> set[str]:
        """All that hang together with this one, itself among them."""
        return self._of.get(name) or {name}

    def join(self, one: str, other: str) -> None:
        """Two that are the same: the smaller group goes into the larger one."""
        less, more = sorted((self.members(one), self.members(other)), key=len)
        if less is not more:
            more |= less
            for name in more if len(more) == 2 else less:
                self._of[name] = more

    def all(self) -> list[set[str]]:
        """Every group once."""
        return list({id(members): members for members in self._of.values()}.values())
