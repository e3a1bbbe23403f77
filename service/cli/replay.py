"""`replay`: recorded messages into the mirror, without a broker."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from service.changes import Origin
from service.cli.common import Json, err, opened_store, out, quiet_settings, run_async
from service.errors import UsageError
from service.events.message import Message
from service.events.recording import read_lines, unpacked
from service.operations.replaying import replaying_pipeline
from service.pipeline.committing import Fate
from service.pipeline.pipeline import Pipeline
from service.settings.model import Settings

T = TypeVar("T")


def replay(
    files: Annotated[list[str], typer.Argument(help="NDJSON files that `capture` wrote; - is stdin.")],
    deliver: Annotated[bool, typer.Option("--deliver", help="Also create deliveries; `run` sends them.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if there was any dead letter.")] = False,
    as_json: Json = False,
) -> None:
    """Apply recorded messages to the mirror; needs no broker, and may be repeated.

    A line is an object with `routing_key` and `body` (or `body_base64`), and perhaps `headers` and `message_id`.
    """
    for name in files:
        if name != "-" and not Path(name).is_file():
            raise UsageError(problem=f"There is no file {name!r}", advice="Name NDJSON files, or - for stdin.")
    counts = run_async(_replay(quiet_settings(), files, deliver))
    if as_json:
        sys.stdout.write(json.dumps(counts) + "\n")
    else:
        out.print(", ".join(f"{number} {name.replace('_', '-')}" for name, number in counts.items()))
        if counts["dead_lettered"]:
            out.print("`catalog-mirror dead-letters list` shows why.")
    if strict and counts["dead_lettered"]:
        raise typer.Exit(1)


async def _replay(settings: Settings, files: list[str], deliver: bool) -> dict[str, int]:
    async with opened_store(settings, migrate=True) as store:
        pipeline = await replaying_pipeline(settings, store, deliver=deliver)
        counts: Counter[str] = Counter()
        for name in files:
            with messages_in(name, settings) as messages:
                await _feed(pipeline, messages, settings.pipeline.batch_max, counts)
    keys = ("read", *(fate.value for fate in Fate), "deliveries")
    return {key: counts[key] for key in keys}


async def _feed(pipeline: Pipeline, messages: Iterator[Message], size: int, counts: Counter[str]) -> None:
    while batch := list(islice(messages, size)):
        outcome = await pipeline.process(batch, Origin.REPLAY)
        counts["read"] += outcome.read
        counts["deliveries"] += outcome.deliveries
        for fate, number in outcome.fates.items():
            counts[fate.value] += number


@contextmanager
def messages_in(name: str, settings: Settings) -> Iterator[Iterator[Message]]:
    """The messages of a file, with a progress bar on a terminal."""
    max_line = settings.pipeline.max_body_bytes * 6 + 65_536
    with reading_along(name) as (stream, along):
        yield along(read_lines(unpacked(stream, name), max_line))


@contextmanager
def reading_along(name: str) -> Iterator[tuple[IO[bytes], Callable[[Iterable[T]], Iterator[T]]]]:
    """A file (`-` is stdin) and what shows, on a terminal, how far it is read: put around what is read of it."""
    if name == "-":
        yield sys.stdin.buffer, iter
        return
    columns = (TextColumn(Path(name).name), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Path(name).open("rb") as stream, Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task(name, total=Path(name).stat().st_size)
        yield stream, lambda items: _told(items, stream, progress, task)


def _told(items: Iterable[T], stream: IO[bytes], progress: Progress, task: Any) -> Iterator[T]:
    for number, item in enumerate(items):
        if number % 200 == 0:
            progress.update(task, completed=stream.tell())
        yield item
    progress.update(task, completed=stream.tell())
