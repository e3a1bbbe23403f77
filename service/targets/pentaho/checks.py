"""Whether links can work: what the mirror knows, the form of Pentaho's ids, and what is wanted but not linked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import rows_by_key
from service.mirror.tables import assets, things
from service.mirror.tables import links as links_table
from service.targets.pentaho import links
from service.targets.pentaho.links import Kind, Link
from service.targets.pentaho.options import Options, Rule

NOTHING_LINKED = (
    "Nothing is linked, so nothing is sent. `catalog-mirror links check` says what could be; "
    "`catalog-mirror links import FILE` links it."
)
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
#: How Pentaho's documents show its ids.
_FORMS: dict[Kind, tuple[re.Pattern[str], str]] = {
    "asset": (_UUID, "a UUID"),
    "enrichment_area": (_UUID, "a UUID"),
    "list": (_UUID, "a UUID"),
    "connection": (_OBJECT_ID, "24 hexadecimal digits"),
    "rule": (_OBJECT_ID, "24 hexadecimal digits"),
}
#: Where things of the catalog are mirrored that may be linked, by kind: the first has those that are looked for.
_PLACES: dict[Kind, tuple[tuple[sa.Table, str], ...]] = {
    "asset": ((assets, "asset_id"),),
    "connection": ((assets, "asset_id"),),
    "list": ((things["asset_list"], "asset_list_id"),),
    "enrichment_area": ((things["enrichment_area"], "area_id"), (assets, "asset_id")),
    "rule": ((things["quality_check"], "check_id"), (things["artifact"], "artifact_id"), (assets, "asset_id")),
}
#: The types of assets that are looked for.
_TYPES = {"asset": "data_asset", "connection": "connection"}
_RULES: dict[Kind, tuple[Rule, ...]] = {
    "asset": ("asset_saved", "profile_finished", "usage_observed"),
    "connection": ("connection_saved", "connection_deleted"),
    "list": ("list_saved",),
    "enrichment_area": ("enrichment_area_saved",),
    "rule": ("rule_saved",),
}


@dataclass(frozen=True, slots=True)
class LinkFinding:
    """What was found for some links, or things without one, of a kind."""

    problem: str
    kind: str
    number: int
    example: str
    advice: str
    is_fault: bool


async def findings(connection: AsyncConnection, target: str, options: Options | None) -> list[LinkFinding]:
    """All of them, faults first; `options` are those of the target, where it is configured."""
    there = await links.read(connection, target)
    found = [finding for kind in links.KINDS async for finding in _faults(connection, kind, _of(there, kind), options)]
    if options is None:
        advice = f"Set CATALOG_MIRROR_TARGETS__{target.upper()}__URL, and what it signs in with."
        found.append(LinkFinding("the target is not configured", "", 1, target, advice, is_fault=True))
    for kind in links.KINDS:
        if options is None or any(options.rules[rule] for rule in _RULES[kind]):
            found += await _unlinked(connection, target, kind)
    return sorted(found, key=lambda finding: not finding.is_fault)


def _of(there: Sequence[Link], kind: Kind) -> list[Link]:
    return [link for link in there if link.kind == kind]


async def _faults(connection: AsyncConnection, kind: Kind, mine: list[Link], options: Options | None) -> Any:
    pattern, form = _FORMS[kind]
    deleted, unknown = await _not_there(connection, kind, sorted({link.catalog_id for link in mine}))
    others = [link.pentaho_id for link in mine if not pattern.fullmatch(link.pentaho_id)]
    others += [some for link in mine for some in link.scope if not _UUID.fullmatch(some)]
    without = [link.pentaho_id for link in mine if options and link.pentaho_id not in options.data_sources]
    for problem, ids, advice, is_fault in (
        ("not in the mirror", unknown, "Correct catalog_id, or read the catalog first.", True),
        ("deleted in the catalog", deleted, "Remove the link when nothing more is to happen.", False),
        ("an id unlike Pentaho's", others, f"Pentaho's documents show {form} there; it may refuse this.", True),
        ("several linked to one", _doubles(mine), "Meant so? Jobs name it once.", False),
        (
            "no data source in settings", without if kind == "connection" else [],
            "Tell how it is reached in OPTIONS, under data_sources; else it is neither tested nor ingested.", True,
        ),
    ):  # fmt: skip
        if ids:
            yield LinkFinding(problem, kind, len(ids), ids[0], advice, is_fault)


def _doubles(mine: Iterable[Link]) -> list[str]:
    return sorted(one for one, number in Counter(link.pentaho_id for link in mine).items() if number > 1)


async def _not_there(connection: AsyncConnection, kind: Kind, ids: list[str]) -> tuple[list[str], list[str]]:
    """Which of the ids are deleted, and which are not in the mirror at all."""
    deleted, unknown = set[str](), set(ids)
    for table, key in _PLACES[kind]:
        rows = await rows_by_key(connection, table, key, sorted(unknown), "deleted_at")
        deleted |= {found for found, row in rows.items() if row.deleted_at is not None}
        unknown -= rows.keys()
    return sorted(deleted), sorted(unknown)


async def _unlinked(connection: AsyncConnection, target: str, kind: Kind) -> list[LinkFinding]:
    """How many things are mirrored that no link names."""
    table, key = _PLACES[kind][0]
    named = sa.exists().where(
        links_table.c.target == target, links_table.c.kind == kind, links_table.c.catalog_id == table.c[key]
    )
    query = sa.select(sa.func.count(), sa.func.min(table.c[key])).where(table.c.deleted_at.is_(None), ~named)
    if kind in _TYPES:
        query = query.where(table.c.asset_type == _TYPES[kind])
    number, example = (await connection.execute(query)).one()
    advice = "Import a link where Pentaho is to hear of it."
    return [LinkFinding("mirrored, not linked", kind, number, example, advice, is_fault=False)] if number else []
