"""`usage`: who used which asset, and what became of telling it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.common import Json, err, opened_store, out, print_json, quiet_settings, run_async
from service.cli.replay import reading_along
from service.errors import UsageError
from service.mirror.usage.importing import BAD, KNOWN, NEW, TOO_OLD, BadLine, Importer, UsageLine, read_lines
from service.mirror.usage.people import people_of
from service.settings import Settings

app = typer.Typer(help="Who used which asset, and who was told of it.", no_args_is_help=True)

#: Lines that one transaction takes.
_LINES = 5000


@app.command("import")
def import_(
    files: Annotated[list[str], typer.Argument(help="NDJSON files of query logs; - is stdin.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look what would become of each line.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if there was any bad line.")] = False,
    as_json: Json = False,
) -> None:
    """Take query logs in: lines such as {"who": "ada", "what": "/sales/orders", "when": "2026-05-10T15:04:15Z"}.

    `what` is an asset's id, its resource key, or the path of its data. May be repeated: what is known already is not
    written again. Bad lines are told with their numbers and cost the others nothing.
    """
    for name in files:
        if name != "-" and not Path(name).is_file():
            raise UsageError(problem=f"There is no file {name!r}", advice="Name NDJSON files, or - for stdin.")
    counts, bad = run_async(_import(quiet_settings(), files, dry_run=dry_run, tell=not as_json))
    if as_json:
        print_json({**counts, "dry_run": dry_run, "lines": bad})
    else:
        out.print(", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items()))
        if dry_run:
            out.print("Nothing was written.")
    if strict and counts[BAD]:
        raise typer.Exit(1)


async def _import(
    settings: Settings, files: list[str], *, dry_run: bool, tell: bool
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    counts: Counter[str] = Counter()
    bad: list[dict[str, Any]] = []
    async with opened_store(settings, migrate=True) as store:
        people = await people_of(store, settings.usage, settings.pipeline.principals)
        importer = Importer(store, people, settings.retention.usage_s, dry_run=dry_run)
        for name in files:
            with _opened(name) as lines:
                while chunk := list(islice(lines, _LINES)):
                    taken = await importer.take(chunk)
                    counts += taken.counts
                    for line in taken.bad:
                        _tell(name, line, bad, aloud=tell)
    return {key: counts[key] for key in (NEW, KNOWN, TOO_OLD, BAD)}, bad


def _tell(name: str, line: BadLine, bad: list[dict[str, Any]], *, aloud: bool) -> None:
    """Say which line is bad at once, or remember it for the JSON."""
    if aloud:
        err.print(f"{name}:{line.number}: {line.problem}", markup=False, soft_wrap=True)
    else:
        bad.append({"file": name, "line": line.number, "problem": line.problem})


@contextmanager
def _opened(name: str) -> Iterator[Iterator[UsageLine | BadLine]]:
    with reading_along(name) as (stream, along):
        yield along(read_lines(stream))
