"""`lineage`: the graph around one asset."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from service.cli.common import opened_store, out, print_json, quiet_settings, run_async
from service.cli.drawing import Drawing
from service.errors import MirrorError
from service.mirror.lineage.graph import Graph, graph
from service.mirror.lineage.walk import Direction
from service.openlineage.looking import find_asset


class Format(StrEnum):
    """How the graph is printed."""

    TREE = "tree"
    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"


class Way(StrEnum):
    """Which part of the graph is shown."""

    BOTH = "both"
    FORWARD = "forward"
    BACKWARD = "backward"

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions to walk, what it was made of first."""
        chosen = (Direction.BACKWARD, Direction.FORWARD)
        return chosen if self is Way.BOTH else (Direction(self.value),)


class AssetUnknown(MirrorError):
    """Nothing is known of asset {asset_id!r}."""

    remedy = "Ids are the catalog's own: see `SELECT asset_id, name FROM v1_assets`."


def lineage(
    asset: Annotated[str, typer.Argument(help="The asset's id in the catalog.")],
    depth: Annotated[int, typer.Option(min=1, max=20, help="Events to follow in each direction.")] = 4,
    direction: Annotated[
        Way, typer.Option(help="backward: what it was made of; forward: what was made of it.")
    ] = Way.BOTH,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TREE,
    names: Annotated[bool, typer.Option("--names", help="Show names instead of ids, where there are any.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Show what an asset was made of, and what was made of it."""
    found = run_async(_graph(asset, depth, direction))
    if not found.known:
        raise AssetUnknown(asset_id=asset)
    drawing = Drawing(found, names=names)
    if as_json or form is Format.JSON:
        print_json(drawing.data())
    elif form is Format.TREE:
        out.print(drawing.tree(depth, direction.directions))
    else:
        typer.echo(drawing.mermaid() if form is Format.MERMAID else drawing.dot(), nl=False)


async def _graph(asset: str, depth: int, way: Way) -> Graph:
    async with opened_store(quiet_settings()) as store, store.read() as connection:
        known = await find_asset(connection, asset)
        return await graph(connection, known.asset_id if known else asset, depth, way.directions)
