"""`lineage`: the graph around one asset, and what data sets are called in it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from service.cli.common import Json, WithDefault, opened_store, out, print_json, quiet_settings, run_async
from service.cli.drawing import Drawing
from service.errors import MirrorError
from service.mirror.lineage.graph import NEWEST, Graph, graph
from service.mirror.lineage.questions import find_named
from service.mirror.lineage.walk import Direction
from service.openlineage.renaming import SETTING, Renaming
from service.openlineage.resolving import find_asset


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
    """Nothing is known of an asset {asset_id!r}, by id or by name."""

    remedy = "Ids are the catalog's own: see `SELECT asset_id, name FROM v1_assets`."


class AssetAmbiguous(MirrorError):
    """{number} assets are called {text!r}: {listed}."""

    remedy = "Say which by its id."


#: Assets of one name that are listed.
_LISTED = 20


_HELP = "Show what an asset was made of, and what was made of it: `lineage ASSET`."
app = typer.Typer(help=_HELP, cls=WithDefault, no_args_is_help=True)


@app.callback(help=_HELP)
def group() -> None:
    """What an asset was made of, and what data sets are called."""


@app.command("show")
def lineage(
    asset: Annotated[str, typer.Argument(help="The asset: its id, its name, or the end of its path.")],
    depth: Annotated[int, typer.Option(min=1, max=20, help="Events to follow in each direction.")] = 4,
    direction: Annotated[
        Way, typer.Option(help="backward: what it was made of; forward: what was made of it.")
    ] = Way.BOTH,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TREE,
    newest: Annotated[
        int, typer.Option(min=1, max=20_000, help="Events of each level, the newest of them; the others are counted.")
    ] = NEWEST,
    failed: Annotated[
        bool, typer.Option("--failed", help="Also what runs that failed or were aborted would have made.")
    ] = False,
    names: Annotated[bool, typer.Option("--names", help="Show names instead of ids, where there are any.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Show what an asset was made of, and what was made of it."""
    found = run_async(_graph(asset, depth, direction, newest, failed=failed))
    if not found.known:
        raise AssetUnknown(asset_id=asset)
    drawing = Drawing(found, names=names)
    if as_json or form is Format.JSON:
        print_json(drawing.data())
    elif form is Format.TREE:
        out.print(drawing.tree(depth, direction.directions))
    else:
        typer.echo(drawing.mermaid() if form is Format.MERMAID else drawing.dot(), nl=False)


async def _graph(asset: str, depth: int, way: Way, newest: int, *, failed: bool) -> Graph:
    settings = quiet_settings()
    renaming = Renaming(settings.lineage.names)
    async with opened_store(settings) as store, store.read() as connection:
        known = await find_asset(connection, asset, renaming)
        named = [] if known else await find_named(connection, asset, _LISTED + 1)
        if len(named) > 1:
            listed = "; ".join(f"{one.asset_id} ({one.name or 'no name'})" for one in named[:_LISTED])
            number = f"More than {_LISTED}" if len(named) > _LISTED else str(len(named))
            raise AssetAmbiguous(number=number, text=asset, listed=listed)
        asset_id = known.asset_id if known else named[0].asset_id if named else asset
        return await graph(connection, asset_id, depth, way.directions, newest, failed=failed)


@app.command("names")
def names(
    example: Annotated[str, typer.Argument(help="A data set: namespace and name, with a slash between them.")],
    name: Annotated[str | None, typer.Argument(help="Its name, if EXAMPLE is the namespace alone.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a data set is called here: which rule of LINEAGE__NAMES fits, and what comes out."""
    found = Renaming(quiet_settings().lineage.names).explained(example, name)
    if as_json:
        print_json(found)
        return
    if found["rule"] is None:
        out.print(f"No rule of {SETTING} fits.", markup=False)
    else:
        said = ", ".join(f"{member} {value}" for member, value in found["rule"].items())
        out.print(f"Rule {found['number']} fits: {said}", markup=False, soft_wrap=True)
        called = found["called"]
        out.print(f"It becomes {called['namespace']} + {called['name']}", markup=False, soft_wrap=True)
    out.print(f"Lineage has it as {found['asset_id']}", markup=False, soft_wrap=True)
