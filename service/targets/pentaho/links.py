"""Links: what a thing of the catalog is at Pentaho. People keep them; jobs are asked for what is linked alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror import controls
from service.mirror.bulk import BulkInsert, key_in
from service.mirror.tables import links

Kind = Literal["asset", "connection", "list", "enrichment_area", "rule"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: The control whose value changes with every change of a target's links, by which others notice.
_REVISION = "links_of"
#: Ids that one statement names at most.
_CHUNK = 20_000


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """One link; ids are text and never anything else.

    `pentaho_id` is an entity (of an asset or an enrichment area), a data source (of a connection; with `fqdn_id`), a
    collection (of a list) or a business rule (with `scope`: the entities whose rows are counted).
    """

    kind: Kind
    catalog_id: str
    pentaho_id: str
    fqdn_id: str | None = None
    scope: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """What no two links of a target have in common."""
        return self.kind, self.catalog_id, self.pentaho_id


_insert = BulkInsert(
    links,
    ("target", "kind", "catalog_id", "pentaho_id", "fqdn_id", "scope"),
    key=("target", "kind", "catalog_id", "pentaho_id"),
    on_conflict="nothing",
    clocked=("linked_at",),
)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import does: links by what becomes of them."""

    added: int
    changed: int
    unchanged: int
    removed: int


async def store(connection: AsyncConnection, target: str, new: Sequence[Link], *, replace: bool) -> Imported:
    """Add these links, each key once; those of the same key are changed, and with `replace` all others removed."""
    there = {link.key: link for link in await read(connection, target)}
    told = {link.key: link for link in new}
    changed = [link for key, link in told.items() if key in there and there[key] != link]
    fresh = [link for key, link in told.items() if key not in there]
    gone = len(there.keys() - told.keys()) if replace else 0
    for link in changed:
        await connection.execute(sa.delete(links).where(links.c.target == target, _is(link)))
    if gone:
        await connection.execute(sa.delete(links).where(links.c.target == target))
    await _insert.run(connection, [_row(target, link) for link in (told.values() if gone else (*fresh, *changed))])
    if fresh or changed or gone:
        await _note(connection, target)
    return Imported(len(fresh), len(changed), len(told) - len(fresh) - len(changed), gone)


async def remove(
    connection: AsyncConnection, target: str, kind: str, catalog_id: str, pentaho_id: str | None = None
) -> int:
    """Remove the links of one thing, or one of them; answers how many."""
    mine = [links.c.target == target, links.c.kind == kind, links.c.catalog_id == catalog_id]
    if pentaho_id is not None:
        mine.append(links.c.pentaho_id == pentaho_id)
    removed = int((await connection.execute(sa.delete(links).where(*mine))).rowcount)
    if removed:
        await _note(connection, target)
    return removed


async def read(connection: AsyncConnection, target: str, kind: str | None = None) -> list[Link]:
    """All links of a target, sorted."""
    query = sa.select(links).where(links.c.target == target)
    rows = await connection.execute(query.where(links.c.kind == kind) if kind else query)
    return sorted(map(_link, rows), key=lambda link: link.key)


async def of_catalog(connection: AsyncConnection, target: str, ids: Iterable[str]) -> dict[str, list[Link]]:
    """Links by the id in the catalog, those of one id sorted."""
    return await _found(connection, target, links.c.catalog_id, ids)


async def of_pentaho(connection: AsyncConnection, target: str, ids: Iterable[str]) -> dict[str, list[Link]]:
    """Links by Pentaho's id."""
    return await _found(connection, target, links.c.pentaho_id, ids)


async def _found(
    connection: AsyncConnection, target: str, column: sa.Column[Any], ids: Iterable[str]
) -> dict[str, list[Link]]:
    wanted, found = sorted(set(ids)), dict[str, list[Link]]()
    for start in range(0, len(wanted), _CHUNK):
        mine = key_in(connection, column, wanted[start : start + _CHUNK])
        for row in await connection.execute(sa.select(links).where(links.c.target == target, mine)):
            found.setdefault(getattr(row, column.name), []).append(_link(row))
    return {key: sorted(some, key=lambda link: link.key) for key, some in found.items()}


async def revision(connection: AsyncConnection, target: str) -> str | None:
    """Another text after every change of the links; None: there never were any."""
    told: str | None = await controls.read_control(connection, f"{_REVISION}:{target}")
    return told


async def ids_by_kind(connection: AsyncConnection, target: str) -> dict[str, frozenset[str]]:
    """The ids of the catalog that are linked, by kind."""
    rows = await connection.execute(sa.select(links.c.kind, links.c.catalog_id).where(links.c.target == target))
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for kind, catalog_id in rows:
        found[kind].add(catalog_id)
    return {kind: frozenset(ids) for kind, ids in found.items()}


async def _note(connection: AsyncConnection, target: str) -> None:
    await controls.set_control(connection, f"{_REVISION}:{target}", uuid4().hex)


def _is(link: Link) -> sa.ColumnElement[bool]:
    names = zip(("kind", "catalog_id", "pentaho_id"), link.key, strict=True)
    return sa.and_(*(links.c[name] == value for name, value in names))


def _row(target: str, link: Link) -> tuple[Any, ...]:
    return target, link.kind, link.catalog_id, link.pentaho_id, link.fqdn_id, " ".join(link.scope) or None


def _link(row: Any) -> Link:
    return Link(row.kind, row.catalog_id, row.pentaho_id, row.fqdn_id, tuple((row.scope or "").split()))
