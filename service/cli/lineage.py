"""`lineage`: the graph around one asset, or one of its columns, and what data sets are called in it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Annotated, NamedTuple

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from service.cli.column_drawing import ColumnDrawing, impact_tables
from service.cli.common import Json, WithDefault, opened_store, out, print_json, quiet_settings, run_async
from service.cli.drawing import Drawing
from service.errors import MirrorError, UsageError
from service.mirror.lineage.columns import ColumnGraph, Impact, column_graph, column_names, nodes_of
from service.mirror.lineage.columns import impact as impact_of
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


#: Assets of one name that are listed, and columns of one asset.
_LISTED = 20


class ColumnUnknown(MirrorError):
    """Nothing is known of a column {column!r} of {asset_id!r}."""

    remedy = "{known}"


class Place(NamedTuple):
    """What is asked for: an asset, or a column of it."""

    asset_id: str
    column: str | None


_HELP = "Show what an asset was made of, and what was made of it: `lineage ASSET`."
app = typer.Typer(help=_HELP, cls=WithDefault, no_args_is_help=True)


@app.callback(help=_HELP)
def group() -> None:
    """What an asset was made of, and what data sets are called."""


@app.command("show")
def lineage(
    asset: Annotated[
        str,
        typer.Argument(
            metavar="ASSET[.COLUMN]", help="The asset: its id, its name, or the end of its path; or a column of it."
        ),
    ],
    depth: Annotated[int, typer.Option(min=1, max=20, help="Events to follow in each direction.")] = 4,
    direction: Annotated[
        Way, typer.Option(help="backward: what it was made of; forward: what was made of it.")
    ] = Way.BOTH,
    column: Annotated[str | None, typer.Option(help="A column of the asset: its lineage is shown.")] = None,
    impact: Annotated[bool, typer.Option("--impact", help="What breaks if the column goes: columns and jobs.")] = False,
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
    """Show what an asset, or a column of it, was made of, and what was made of it."""
    asked = _Asked(asset, column, depth, direction, newest, failed=failed, impact=impact)
    form = Format.JSON if as_json else form
    found = run_async(asked.answer())
    if isinstance(found, Impact):
        print_json(found.data()) if form is Format.JSON else out.print(impact_tables(found))
        return
    drawing = Drawing(found, names=names) if isinstance(found, Graph) else ColumnDrawing(found, names=names)
    if form is Format.JSON:
        print_json(drawing.data())
    elif form is Format.TREE:
        out.print(drawing.tree(depth, direction.directions))
    else:
        typer.echo(drawing.mermaid() if form is Format.MERMAID else drawing.dot(), nl=False)


@dataclass(frozen=True)
class _Asked:
    """One question."""

    asset: str
    column: str | None
    depth: int
    way: Way
    newest: int
    _: KW_ONLY
    failed: bool
    impact: bool

    async def answer(self) -> Graph | ColumnGraph | Impact:
        settings = quiet_settings()
        async with opened_store(settings) as store, store.read() as connection:
            place = await self._place(connection, Renaming(settings.lineage.names))
            if place.column is not None:
                return await self._of_column(connection, place.asset_id, place.column)
            if self.impact:
                raise UsageError("--impact is asked of a column", "Name it as in ASSET.COLUMN, or by --column.")
            found = await graph(
                connection, place.asset_id, self.depth, self.way.directions, self.newest, failed=self.failed
            )
        if not found.known:
            raise AssetUnknown(asset_id=self.asset)
        return found

    async def _of_column(self, connection: AsyncConnection, asset_id: str, column: str) -> ColumnGraph | Impact:
        nodes = await nodes_of(connection, asset_id, column)
        if not nodes:
            listed = ", ".join(await column_names(connection, asset_id, _LISTED))
            known = f"Its columns are {listed}." if listed else "None of its columns are known."
            raise ColumnUnknown(column=column, asset_id=asset_id, known=known)
        if self.impact:
            return await impact_of(connection, nodes)
        return await column_graph(connection, nodes, self.way.directions, depth=self.depth, failed=self.failed)

    async def _place(self, connection: AsyncConnection, renaming: Renaming) -> Place:
        """The asset that the text means, else that of which its end is a column."""
        if asset_id := await _asset(connection, self.asset, renaming):
            return Place(asset_id, self.column)
        end = self.asset.rfind(".") if self.column is None else -1
        while end > 0:
            if asset_id := await _asset(connection, self.asset[:end], renaming):
                return Place(asset_id, self.asset[end + 1 :])
            end = self.asset.rfind(".", 0, end)
        return Place(self.asset, self.column)


async def _asset(connection: AsyncConnection, text: str, renaming: Renaming) -> str | None:
    """The id of the asset that is called so; None where there is none."""
    if known := await find_asset(connection, text, renaming):
        return known.asset_id
    named = await find_named(connection, text, _LISTED + 1)
    if len(named) > 1:
        listed = "; ".join(f"{one.asset_id} ({one.name or 'no name'})" for one in named[:_LISTED])
        number = f"More than {_LISTED}" if len(named) > _LISTED else str(len(named))
        raise AssetAmbiguous(number=number, text=text, listed=listed)
    return named[0].asset_id if named else None


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
