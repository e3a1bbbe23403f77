"""Which asset a query log means: by id, by resource key, or by the path of its data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import among, rows_by_key
from service.mirror.lineage import datasets
from service.mirror.lineage.datasets import Located
from service.mirror.tables import assets

_UNKNOWN = "no asset that is mirrored has the id, the resource key or the path {name!r}"
_SEVERAL = "several assets have the path {name!r}, in different places; name one of them by its id: {ids}"
#: Ids that are told of several.
_SHOWN = 3


async def resolve(connection: AsyncConnection, names: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The asset that each name means.

    Of copies of one data set (in a catalog and in projects) the catalog's own is meant.

    Returns:
        Asset ids by name; and by name why it means none.
    """
    found = {name: name for name in await rows_by_key(connection, assets, "asset_id", sorted(names))}
    found |= await _by_resource_key(connection, set(names) - found.keys())
    problems: dict[str, str] = {}
    left = sorted(set(names) - found.keys())
    candidates = await _by_path(connection, left)
    for name in left:
        places = {_place(one) for one in candidates[name]}
        if len(places) == 1:
            found[name] = candidates[name][0].asset_id
        else:
            ids = ", ".join(one.asset_id for one in candidates[name][:_SHOWN])
            problems[name] = (_SEVERAL if places else _UNKNOWN).format(name=name[:200], ids=ids)
    return found, problems


async def _by_resource_key(connection: AsyncConnection, names: set[str]) -> dict[str, str]:
    """Assets with one resource key are the same data; the catalog's own comes first (catalog, project, space)."""
    asset = assets.c
    query = sa.select(asset.resource_key, asset.container_kind, asset.asset_id)
    query = query.where(among(connection, asset.resource_key, sorted(names)), asset.deleted_at.is_(None))
    rows = sorted(await connection.execute(query), key=lambda row: (row[1] or "~", row[2])) if names else []
    return {key: asset_id for key, _, asset_id in reversed(rows)}


async def _by_path(connection: AsyncConnection, names: Collection[str]) -> dict[str, list[Located]]:
    paths = {path for name in names for path in _paths(name)}
    by_path: dict[str | None, list[Located]] = defaultdict(list)
    for one in await datasets.at_paths(connection, sorted(paths)) if paths else ():
        by_path[one.path].append(one)
    return {name: [one for path in _paths(name) for one in by_path[path]] for name in names}


def _paths(name: str) -> Iterable[str]:
    """The paths that a name may stand for: with a slash before it or none, and with slashes for dots."""
    words = name.strip("/")
    return dict.fromkeys(f"{slash}{text}" for text in (words, words.replace(".", "/")) for slash in ("/", ""))


def _place(one: Located) -> tuple[str | None, ...]:
    """Where the data lies; of a connection of which nothing is known, in that connection."""
    where = (one.datasource_type, one.host, one.port, one.database, one.bucket)
    return (*(where if any(where) else (one.connection_id,)), (one.path or "").strip("/"))
