"""`rehearse`: recorded messages through other settings or another version, and what would differ."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from service.cli.common import Json, out, print_json, show_table
from service.errors import UsageError
from service.operations.rehearsed import Differing
from service.operations.rehearsing import Other, Rehearsal
from service.operations.rehearsing import rehearse as rehearsed


def rehearse(
    files: Annotated[list[Path], typer.Argument(help="Recordings that `capture` wrote; .gz are compressed.")],
    change: Annotated[list[str] | None, typer.Option("--set", help="A setting of the other side: NAME=VALUE.")] = None,
    config: Annotated[Path | None, typer.Option(help="The settings file of the other side.")] = None,
    wheel: Annotated[Path | None, typer.Option(help="The other version, with the packages installed here.")] = None,
    python: Annotated[Path | None, typer.Option(help="Interpreter of an environment with the other version.")] = None,
    image: Annotated[str | None, typer.Option(help="The other version as an image, by name or digest.")] = None,
    engine: Annotated[str | None, typer.Option(help="What runs images. Default: docker, else podman.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Leave both stores in this new folder.")] = None,
    as_json: Json = False,
) -> None:
    """Take recorded messages by these settings and this version, and by others, into two throwaway stores.

    Shows which rows, deliveries and dead letters would differ, and what a message costs; exit 1 on a difference.
    Nothing is sent, and the mirror is not touched.
    """
    missing = next((path for path in (*files, config, wheel, python) if path and not path.is_file()), None)
    if missing:
        raise UsageError(problem=f"There is no file {str(missing)!r}", advice="Name files that are there.")
    if sum(bool(version) for version in (wheel, python, image)) > 1:
        raise UsageError(problem="There is more than one other version", advice="Name --wheel, --python or --image.")
    other = Other(python, wheel, image, engine, config, _changes(change or []))
    with ExitStack() as stack:
        found = rehearsed(files, other, _folder(keep, stack))
    if as_json:
        print_json(asdict(found))
    else:
        _show(found)
    if found.differences:
        raise typer.Exit(1)


def _changes(told: list[str]) -> dict[str, str]:
    changes = {}
    for one in told:
        name, equals, value = one.partition("=")
        if not equals or "__" not in name:
            raise UsageError(problem=f"{one!r} sets nothing", advice="Write PIPELINE__PRINCIPALS=hash.")
        changes[name.removeprefix("CATALOG_MIRROR_")] = value
    return changes


def _folder(keep: Path | None, stack: ExitStack) -> Path:
    if keep is None:
        return Path(stack.enter_context(TemporaryDirectory(prefix="catalog-mirror-rehearsal-")))
    try:
        keep.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise UsageError(problem=f"{keep}: {error.strerror}", advice="Name a folder that is not there.") from None
    return keep


def _show(found: Rehearsal) -> None:
    sides = (("present", found.present), ("other", found.other))
    names = list(found.present.counts)
    cells = [(name, *(took.counts.get(key, 0) for key in names), took.cost_us) for name, took in sides]
    show_table("What each side made of it", ("side", *names, "µs of CPU per message"), cells, "")
    rows = [(one.relation, one.only_present, one.only_other, one.changed, _columns(one), _example(one))
            for one in found.differences]  # fmt: skip
    columns = ("rows of", "only present", "only other", "otherwise", "columns", "for example")
    show_table("What differs", columns, rows, "Nothing differs.")
    if any(one.is_cut for one in found.differences):
        out.print("There is more that differs than was looked at.")


def _columns(one: Differing) -> str:
    return " ".join([*(f"-{name}" for name in one.lost_columns), *(f"+{name}" for name in one.new_columns)])


def _example(one: Differing) -> str:
    return json.dumps(asdict(one.examples[0]), ensure_ascii=False, default=str) if one.examples else ""
