"""`explain`: why a thing's row is as it is, and what happened to it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.tree import Tree

from service.cli.common import Json, on_store, out, print_json
from service.errors import MirrorError
from service.mirror.store import Store
from service.queries.explaining import Clock, Explanation, Step
from service.queries.explaining import explain as explained
from service.queries.standing import Held, State
from service.text.visible import visible_line


class NothingKnown(MirrorError):
    """The store knows nothing of {thing_id!r}."""

    remedy = "Ask by the catalog's own id of an asset, artifact, container, profile, lineage event or another thing."


def explain(
    thing_id: Annotated[
        str, typer.Argument(metavar="ID", help="Of an asset, artifact, container, profile or any other thing.")
    ],
    as_json: Json = False,
) -> None:
    """Show why the row of a thing is as it is, and all that the store knows of what happened to it."""
    found = on_store(lambda store: _found(store, thing_id))
    if found is None:
        raise NothingKnown(thing_id=thing_id)
    print_json(asdict(found)) if as_json else out.print(_tree(found), soft_wrap=True)


async def _found(store: Store, thing_id: str) -> Explanation | None:
    async with store.reading() as connection:
        return await explained(connection, thing_id)


def _tree(found: Explanation) -> Tree:
    tree = Tree(_plain(found.id))
    for state in found.states:
        _grow(tree.add(_plain(f"{state.kind}{f' {state.name}' if state.name else ''}")), state)
    branch = tree.add("what happened, the oldest first (C: the catalog's clock, S: the store's)")
    for step in found.steps:
        branch.add(_plain(_line(step)))
    for source in found.cut:
        branch.add(f"… of {source} only the newest are shown")
    unknown = tree.add("kept nowhere")
    for text in found.not_kept:
        unknown.add(_plain(text))
    return tree


def _grow(branch: Tree, state: State) -> None:
    """What the row is, and by which rule."""
    branch.add(_plain(f"now: {_held(state.now)}"))
    if state.replaced:
        branch.add(_plain(f"replaced: {_held(state.replaced)}"))
    branch.add(_plain(f"rule: {state.because}"))
    for place in state.blanked:
        branch.add(_plain(f"a secret was blanked at {place}"))
    for place in state.hashed:
        branch.add(_plain(f"a person was hashed at {place}"))


def _held(held: Held) -> str:
    return f"{_when(held.at)}, {held.said_by} (rank {held.rank}, digest {held.digest[:12]})"


def _line(step: Step) -> str:
    clock = "C" if step.clock is Clock.CATALOG else "S"
    return f"{_when(step.at)} {clock}  {step.source}: {step.text}{f' [{step.id}]' if step.id else ''}"


def _when(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else "at no known time"


def _plain(text: str) -> str:
    """Text of one line in which Rich sees no markup."""
    return escape(visible_line(text))
