"""What is to be told of a window: its figures by locator, as far as they differ from what was accepted last."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Container
from service.mirror.bulk import among
from service.mirror.lineage import datasets
from service.mirror.lineage.datasets import Located
from service.mirror.lineage.events import is_shown
from service.mirror.tables import assets, containers
from service.mirror.usage.figures import Figure, figures
from service.mirror.usage.window import Window
from service.settings.scope import Scope
from service.targets.collibra.batches import Item, Told, last_told
from service.targets.collibra.locators import Locators
from service.text.documents import canonical


@dataclass(frozen=True, slots=True)
class Unlocated:
    """An asset that was used and cannot be told of."""

    asset_id: str
    name: str | None
    uses: int
    why: str


@dataclass(slots=True)
class Plan:
    """What a window comes to; `items` are those that changed."""

    window: Window
    items: list[Item] = field(default_factory=list)
    unlocated: list[Unlocated] = field(default_factory=list)
    #: Locators with use in the window, told or not.
    located: int = 0

    @property
    def came_to(self) -> dict[str, int]:
        """Its numbers, for whoever asks later."""
        return {"items": len(self.items), "located": self.located, "unlocated": len(self.unlocated)}


async def plan_of(connection: AsyncConnection, target: str, window: Window, locators: Locators, scope: Scope) -> Plan:
    """Count the window, and compare it with what was accepted."""
    plan = Plan(window)
    used = await figures(connection, window)
    shown, elsewhere = await _shown(connection, used.keys(), scope)
    groups: dict[str, list[str]] = defaultdict(list)
    wheres: dict[str, dict[str, Any]] = {}
    for asset in await _located(connection, shown):
        locator = locators.of(asset)
        if isinstance(locator, str):
            plan.unlocated.append(Unlocated(asset.asset_id, asset.name, used[asset.asset_id].uses, locator))
        else:
            key = canonical(locator).decode()
            wheres[key] = locator
            groups[key].append(asset.asset_id)
    counted = await _united(connection, window, used, groups)
    told = await last_told(connection, target)
    kept = elsewhere | {one.asset_id for one in plan.unlocated}
    plan.located = len(groups)
    plan.items = [*_changed(counted, groups, wheres, told), *_fallen(told, groups, kept)]
    plan.items.sort(key=lambda item: item.key)
    plan.unlocated.sort(key=lambda one: (-one.uses, one.asset_id))
    return plan


async def _shown(connection: AsyncConnection, ids: Collection[str], scope: Scope) -> tuple[set[str], set[str]]:
    """Those that are there and that every member may see; and those that are out of scope."""
    query = (
        sa.select(assets.c.asset_id, assets.c.asset_type, assets.c.container_kind, assets.c.container_id)
        .outerjoin(containers, containers.c.container_id == assets.c.container_id)
        .where(
            among(connection, assets.c.asset_id, list(ids)),
            assets.c.deleted_at.is_(None),
            containers.c.deleted_at.is_(None),
            is_shown(assets.c.visibility_mode),
        )
    )
    shown: set[str] = set()
    elsewhere: set[str] = set()
    for asset_id, asset_type, kind, container_id in await connection.execute(query):
        container = Container(kind, container_id) if kind else None
        in_scope = scope.admits_container(container) and scope.admits_type(asset_type)
        (shown if in_scope else elsewhere).add(asset_id)
    return shown, elsewhere


async def _located(connection: AsyncConnection, ids: Collection[str]) -> list[Located]:
    return sorted(await datasets.located(connection, list(ids)), key=lambda one: one.asset_id)


async def _united(
    connection: AsyncConnection, window: Window, used: Mapping[str, Figure], groups: Mapping[str, Sequence[str]]
) -> dict[str, Figure]:
    """Figures by locator: of assets that share one (copies of the same data), a user of both is one user.

    Facts may go between two statements: what is not found the second time waits for the next window.
    """
    same = {asset: members[0] for members in groups.values() for asset in members[1:]}
    figure = await figures(connection, window, same) if same else used
    return {key: figure[members[0]] for key, members in groups.items() if members[0] in figure}


def _changed(
    counted: Mapping[str, Figure],
    groups: Mapping[str, Sequence[str]],
    wheres: Mapping[str, dict[str, Any]],
    told: Mapping[str, Told],
) -> Iterator[Item]:
    for key, figure in counted.items():
        before = told.get(key)
        if before is None or (before.query_count, before.distinct_users) != (figure.uses, figure.users):
            yield Item(wheres[key], tuple(groups[key]), figure.uses, figure.users)


def _fallen(told: Mapping[str, Told], groups: Collection[str], kept: set[str]) -> Iterator[Item]:
    """What was told of and is used no more is told once with 0; not where we only cannot, or may not, say it now."""
    for key, before in told.items():
        if key not in groups and before.query_count != 0 and not kept & set(before.assets):
            yield Item(json.loads(key), before.assets, 0, 0)
