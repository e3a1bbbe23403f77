"""`lineage`: the graph around one asset."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.tree import Tree

from service.cli.common import opened_store, out, print_json, quiet_settings, run_async
from service.errors import MirrorError
from service.mirror import lineage as graphs


class Format(StrEnum):
    """How the graph is printed."""

    TREE = "tree"
    JSON = "json"


class AssetUnknown(MirrorError):
    """Nothing is known of asset {asset_id!r}."""

    remedy = "Ids are the catalog's own: see `SELECT asset_id, name FROM v1_assets`."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lineage")(lineage)


def lineage(
    asset: Annotated[str, typer.Argument(help="The asset's id in the catalog.")],
    depth: Annotated[int, typer.Option(min=1, max=20, help="Events to follow in each direction.")] = 4,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TREE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Show what an asset was made of, and what was made of it."""
    found = run_async(_graph(asset, depth))
    if not found.known:
        raise AssetUnknown(asset_id=asset)
    if as_json or form is Format.JSON:
        print_json(as_data(found))
    else:
        out.print(as_tree(found, depth))


async def _graph(asset: str, depth: int) -> graphs.Graph:
    async with opened_store(quiet_settings()) as store, store.read() as connection:
        return await graphs.graph(connection, asset, depth)


def as_data(found: graphs.Graph) -> dict[str, Any]:
    """The graph for machines."""
    events = sorted(found.events.values(), key=lambda event: event.event_id)
    return {
        "asset_id": found.asset_id,
        "events": [asdict(event) for event in events],
        "edges": [asdict(edge) for edge in found.edges],
        "cut": found.cut,
    }


def as_tree(found: graphs.Graph, depth: int) -> Tree:
    """The graph for people: a branch upstream, a branch downstream."""
    tree = Tree(_label(found, found.asset_id))
    upstream, downstream = tree.add("made of"), tree.add("made into")
    _grow(upstream, found, found.asset_id, ("generates", "uses"), depth, {found.asset_id})
    _grow(downstream, found, found.asset_id, ("uses", "generates"), depth, {found.asset_id})
    for branch in (upstream, downstream):
        if not branch.children:
            branch.add("nothing known")
    if found.cut:
        tree.add("… cut: there is more")
    return tree


def _grow(branch: Tree, found: graphs.Graph, asset_id: str, roles: tuple[str, str], depth: int, path: set[str]) -> None:
    if depth == 0:
        return
    here, there = roles
    for event in found.events_of(asset_id, here):
        when = event.event_time.strftime("%Y-%m-%d %H:%M:%S") if event.event_time else "no time"
        mark = " (ours)" if event.own else ""
        twig = branch.add(f"{event.event_type or 'event'} {when}{mark}")
        for other in found.assets_of(event.event_id, there):
            if other not in path:
                _grow(twig.add(_label(found, other)), found, other, roles, depth - 1, path | {other})


def _label(found: graphs.Graph, asset_id: str) -> str:
    name = found.name_of(asset_id)
    return f"{name} [{asset_id}]".replace("[", "\\[") if name and name != asset_id else asset_id.replace("[", "\\[")
