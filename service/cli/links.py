"""`links`: what in the catalog is what at Pentaho."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from service.cli.common import (
    Json,
    acting,
    on_store,
    opened_store,
    out,
    print_json,
    quiet_settings,
    run_async,
    show_table,
)
from service.errors import UsageError
from service.operations import links as operations
from service.targets.pentaho import link_files
from service.targets.pentaho.link_files import Form
from service.targets.pentaho.links import KINDS, Link
from service.text.visible import visible

app = typer.Typer(help="What in the catalog is what at Pentaho.", no_args_is_help=True)
#: The target by its usual name.
PENTAHO = "pentaho"
OfTarget = Annotated[str, typer.Option("--target", help="Which Pentaho, where there are several.")]
OfKind = Annotated[str | None, typer.Option("--kind", help=f"Only of this kind: {', '.join(KINDS)}.")]
AsForm = Annotated[str | None, typer.Option("--format", help="csv or yaml. Default: as the file is called, else csv.")]


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(help="CSV or YAML; - is standard input.")],
    replace: Annotated[bool, typer.Option("--replace", help="Remove the links that the file does not have.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
    form: AsForm = None,
    target: OfTarget = PENTAHO,
    as_json: Json = False,
) -> None:
    """Take in links: all of the file or, where a line cannot be used, none.

    A running service obeys them from the next change on.
    """
    told = link_files.read(_text(file), _form(form, file))
    done = on_store(
        lambda store: operations.take_in(store, target, told, acting(), replace=replace, dry_run=dry_run), migrate=True
    )
    if as_json:
        print_json({"dry_run": dry_run, **asdict(done)})
        return
    counts = [(name, number) for name, number in asdict(done).items() if number]
    show_table("Links that would be" if dry_run else "Links", ("what", "number"), counts, "The file has no links.")


def _text(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}", "Give a file in UTF-8, or - for standard input.") from None


def _form(form: str | None, file: str = "") -> Form:
    if form not in (None, "csv", "yaml"):
        raise UsageError(f"there is no format {form!r}", "It is csv or yaml.")
    if form is None:
        return "yaml" if Path(file).suffix in {".yaml", ".yml"} else "csv"
    return "yaml" if form == "yaml" else "csv"


@app.command("list")
def list_(kind: OfKind = None, target: OfTarget = PENTAHO, as_json: Json = False) -> None:
    """List links."""
    rows = run_async(_read(target, kind))
    if as_json:
        print_json([asdict(link) for link in rows])
        return
    cells = [(link.kind, link.catalog_id, link.pentaho_id, link.fqdn_id, " ".join(link.scope)) for link in rows]
    show_table("Links", link_files.COLUMNS, cells, "Nothing is linked: `catalog-mirror links import FILE`.")


@app.command("export")
def export(kind: OfKind = None, form: AsForm = None, target: OfTarget = PENTAHO) -> None:
    """Print links as `links import` takes them."""
    written = link_files.write(run_async(_read(target, kind)), _form(form))
    sys.stdout.write(visible(written) if sys.stdout.isatty() else written)


async def _read(target: str, kind: str | None) -> list[Link]:
    if kind is not None and kind not in KINDS:
        raise UsageError(f"there is no kind {kind!r}", f"It is one of {', '.join(KINDS)}.")
    async with opened_store(quiet_settings(), migrate=True) as store:
        return await operations.listed(store, target, kind)


@app.command("remove")
def remove(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")],
    catalog_id: Annotated[str, typer.Argument(help="The thing in the catalog.")],
    pentaho_id: Annotated[str | None, typer.Argument(help="Only the link to this; else all of the thing's.")] = None,
    target: OfTarget = PENTAHO,
) -> None:
    """Remove the links of one thing; exit 1 if it has none."""
    number = on_store(
        lambda store: operations.remove(store, target, kind, catalog_id, pentaho_id, acting()), migrate=True
    )
    out.print(f"{number} removed.")
    if not number:
        raise typer.Exit(1)


@app.command("check")
def check(
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if a link cannot work.")] = False,
    target: OfTarget = PENTAHO,
    as_json: Json = False,
) -> None:
    """Look whether links can work, and what is mirrored and wanted but not linked."""
    settings = quiet_settings()
    found = on_store(lambda store: operations.check(store, settings, target), migrate=True)
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        rows = [(f.problem, f.kind, f.number, f.example, f.advice) for f in found]
        show_table("Links", ("problem", "kind", "number", "such as", "what to do"), rows, "Every link can work.")
    if strict and any(finding.is_fault for finding in found):
        raise typer.Exit(1)
