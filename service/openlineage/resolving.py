"""What the mirror knows of data sets, looked up both ways: the asset behind a name, the names of assets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.lineage import datasets, questions
from service.mirror.lineage.datasets import Located
from service.mirror.lineage.questions import Asset
from service.openlineage import reading
from service.openlineage.naming import Naming, paths_of, place_of
from service.openlineage.renaming import NO_RULES, Renaming
from service.openlineage.spelling import DatasetName, meant_id, spellings
from service.openlineage.words import asset_id_of
from service.openlineage.writing import ColumnFlow, Described, Knowledge
from service.text.documents import is_clean

#: Data sets whose assets are looked for at once.
_AT_ONCE = 500


async def envelopes(
    connection: AsyncConnection, naming: Naming, renaming: Renaming, events: Collection[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What travels through the pipeline of each event: with what its data sets are called here, and their assets.

    A data set that says itself which asset it is, and one that the mirror does not know, have none.
    """
    sets = [_name_sets(event) for event in events]
    called = [{name: renaming.of(name) for names in one for name in names} for one in sets]
    wanted = [_unplaced(one, names) for one, names in zip(sets, called, strict=True)]
    found = await _find(connection, naming, sorted({name for names in wanted for name in names}))
    return [
        reading.envelope(
            event,
            [_told(name, found[name]) for name in unplaced if name in found],
            {name: other for name, other in names.items() if name != other},
        )
        for event, names, unplaced in zip(events, called, wanted, strict=True)
    ]


async def find_asset(connection: AsyncConnection, asset_id: str, renaming: Renaming = NO_RULES) -> Asset | None:
    """The asset of this id; of a data set, in whatever spelling of its name, and as rules of settings call it."""
    found = await questions.find_asset(connection, asset_id)
    if found is None and (renamed := renaming.of_id(asset_id)):
        found = await questions.find_asset(connection, asset_id_of(renamed[2]))
    if found is None and (dataset := meant_id(asset_id)):
        found = await questions.find_asset(connection, asset_id_of(dataset))
    return found


async def knowledge_of(
    connection: AsyncConnection, naming: Naming, asset_ids: Collection[str], relationships: Collection[str]
) -> Knowledge:
    """Names and columns of assets, and which columns the named relationships lead into which."""
    known = await datasets.located(connection, asset_ids)
    columns = await datasets.columns_of(connection, asset_ids)
    flows = await datasets.related_columns(connection, asset_ids, relationships)
    described = {one.asset_id: Described(naming.of(one), columns.get(one.asset_id, ())) for one in known}
    return Knowledge(described, tuple(ColumnFlow(*flow) for flow in flows))


def _name_sets(event: dict[str, Any]) -> list[list[DatasetName]]:
    """What each data set is called that the event names, or that its columns were made of."""
    told = [reading.names_of(dataset) for dataset, _ in reading.datasets_of(event)]
    return [*told, *([name] for name in reading.sources_of_columns(event))]


def _unplaced(sets: list[list[DatasetName]], called: dict[DatasetName, DatasetName]) -> list[DatasetName]:
    """Names of data sets that do not say themselves which asset they are, as they are called here."""
    here = ({called[name] for name in names} for names in sets)
    return sorted({name for names in here if not any(map(place_of, names)) for name in names})


async def _find(connection: AsyncConnection, naming: Naming, names: list[DatasetName]) -> dict[DatasetName, Located]:
    found: dict[DatasetName, Located] = {}
    for start in range(0, len(names), _AT_ONCE):
        chunk = names[start : start + _AT_ONCE]
        paths = {path for name in chunk for path in paths_of(name) if is_clean(path)}
        _match(found, set(chunk), naming, await datasets.at_paths(connection, sorted(paths)))
    return found


def _match(
    found: dict[DatasetName, Located], wanted: set[DatasetName], naming: Naming, candidates: Iterable[Located]
) -> None:
    asked: dict[DatasetName, list[DatasetName]] = defaultdict(list)
    for name in wanted:
        for spelling in spellings(name):
            asked[spelling].append(name)
    for candidate in candidates:
        for called in naming.spellings(candidate):
            for name in asked.get(called, ()):
                found.setdefault(name, candidate)


def _told(name: DatasetName, asset: Located) -> dict[str, Any]:
    told: dict[str, Any] = {**name._asdict(), "asset_id": asset.asset_id, "title": asset.name}
    if asset.container:
        told |= {"container_kind": asset.container.kind, "container_id": asset.container.id}
    return told
