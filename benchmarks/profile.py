"""Where an event's time goes, stage by stage, in microseconds: `make profile`.

The service's own pipeline in this process, batch after batch into a private PostgreSQL (`benchmarks.inprocess`), the
mirror alone and with lineage back, in turn. The clock is told in `benchmarks.stages`. What no stage holds is the rest
of its half: of decode routing, handler and the loop over messages; of commit SQLAlchemy, asyncpg's reading of answers
(which the event loop calls) and the pipeline's own steps.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import inprocess, parts, stages
from benchmarks.errors import BenchFailed
from sandbox.parts.errors import PartFailed, PartMissing
from sandbox.parts.postgres import PrivatePostgres
from service.changes import Origin
from service.events.message import Message
from service.pipeline.committing import Fate
from service.pipeline.pipeline import Pipeline
from service.process.garbage import spare_the_garbage_collector

#: Events of a batch: what the service takes at most by default.
BATCH = 500
#: Measured batches of each kind; one more warms up.
BATCHES = 12
#: Of the events of a batch, those that have to be applied: others are older than a state in the same batch.
LEAST_APPLIED = 0.6
#: The two kinds, and whether lineage is made.
KINDS = {"mirror": False, "main_job": True}
#: The two halves of the pipeline with their stages, and what is told of a half beside them.
HALVES = {"decode": stages.DECODE, "commit": stages.COMMIT}
REST, ALL = "the rest", "all"


@dataclass(frozen=True, slots=True)
class Spent:
    """What a stage took of one event, in microseconds: CPU of our process, and waiting for the database."""

    cpu_us: float
    waited_us: float = 0.0


#: By half and stage.
Profile = dict[str, dict[str, Spent]]


def main() -> int:
    """Measure and show; answers the exit code."""
    chosen = arguments()
    console = Console(stderr=True)
    try:
        found = measure(chosen.batches)
    except (BenchFailed, PartFailed, PartMissing) as error:
        console.print(f"Error: {error}", style="red", markup=False)
        return 1
    console.print(table(found))
    print(json.dumps(summary(found)), flush=True)
    return 0


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What was typed, or is given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description="Profile the pipeline by stage.")
    parser.add_argument("--batches", type=int, default=BATCHES, help=f"batches of {BATCH} (default {BATCHES})")
    return parser.parse_args(words)


def measure(batches: int) -> dict[str, Profile]:
    """The profile of each kind: medians over batches, so that what disturbs one of them does not count.

    Raises:
        BenchFailed: a stage is no longer where it was.
        PartMissing: there is no PostgreSQL.
    """
    settings = {name: value for name, value in parts.POSTGRES_SETTINGS.items() if name != "fsync"}
    with PrivatePostgres(fsync=True, settings=settings) as server:
        urls = {kind: server.create_database(f"profile_{kind}") for kind in KINDS}
        return asyncio.run(_measured(urls, batches))


async def _measured(urls: dict[str, str], batches: int) -> dict[str, Profile]:
    cost = stages.Cost.measured()
    messages = inprocess.messages_of(BATCH * (batches + 1))
    found: dict[str, list[Profile]] = {kind: [] for kind in KINDS}
    for url in urls.values():
        await inprocess.migrate(url)
    async with (
        inprocess.pipeline(urls["mirror"], answers=False) as mirror,
        inprocess.pipeline(urls["main_job"], answers=True) as main_job,
    ):
        spare_the_garbage_collector()
        for start in range(0, len(messages), BATCH):
            batch = messages[start : start + BATCH]
            for kind, pipeline in (("mirror", mirror), ("main_job", main_job)):
                profile = await _profiled(pipeline, batch, cost)
                if start:
                    found[kind].append(profile)
    return {kind: _medians(profiles) for kind, profiles in found.items()}


async def _profiled(pipeline: Pipeline, batch: Sequence[Message], cost: stages.Cost) -> Profile:
    """One batch."""
    decoding, committing = stages.Clock(), stages.Clock()
    with stages.timed(stages.DECODE, decoding):
        began_ns = time.thread_time_ns()
        reads = await pipeline.decode(batch)
        decode_ns = time.thread_time_ns() - began_ns
    with stages.timed(stages.COMMIT, committing):
        began_ns = time.thread_time_ns()
        outcome = await pipeline.commit(reads, Origin.LIVE)
        commit_ns = time.thread_time_ns() - began_ns
    if outcome.fates[Fate.APPLIED] < len(batch) * LEAST_APPLIED:
        raise BenchFailed(f"Of {len(batch)} events only {outcome.fates[Fate.APPLIED]} were applied.")
    return {
        "decode": _half(stages.DECODE, decoding, decode_ns, cost, len(batch)),
        "commit": _half(stages.COMMIT, committing, commit_ns, cost, len(batch)),
    }


def _half(
    parts_of: Sequence[stages.Stage], clock: stages.Clock, cpu_ns: float, cost: stages.Cost, events: int
) -> dict[str, Spent]:
    """The stages of a half, without what the clock itself took, and what is left of it."""
    names = [name for stage in parts_of for name in (stage.first_step, stage.name) if name]
    found = {
        name: Spent((clock.cpu_ns[name] - cost.of(clock, name)) / events / 1000, clock.waited_ns[name] / events / 1000)
        for name in names
    }
    rest_ns = cpu_ns - clock.cpu_ns.total() - cost.of(clock, stages.OUTSIDE)
    found[REST] = Spent(rest_ns / events / 1000)
    found[ALL] = Spent(sum(one.cpu_us for one in found.values()), sum(one.waited_us for one in found.values()))
    return found


def _medians(profiles: Sequence[Profile]) -> Profile:
    return {
        half: {
            name: Spent(
                median(profile[half][name].cpu_us for profile in profiles),
                median(profile[half][name].waited_us for profile in profiles),
            )
            for name in names
        }
        for half, names in profiles[0].items()
    }


def summary(found: dict[str, Profile]) -> dict[str, Any]:
    """The JSON object: by kind, half and stage, µs of CPU and of waiting an event."""
    return {
        kind: {
            half: {
                name: {"cpu_us": round(one.cpu_us, 2), "waited_us": round(one.waited_us, 2)}
                for name, one in spent.items()
            }
            for half, spent in profile.items()
        }
        for kind, profile in found.items()
    }


def table(found: dict[str, Profile]) -> Table:
    """The same for people."""
    title = f"µs an event, medians over batches of {BATCH}: CPU of our process, and waiting for the database"
    shown = Table(title=title, title_justify="left", header_style="bold")
    shown.add_column("stage")
    for kind in found:
        shown.add_column(f"{kind}: CPU", justify="right")
        shown.add_column("waiting", justify="right")
    for half in HALVES:
        for name in next(iter(found.values()))[half]:
            cells = [cell for profile in found.values() for cell in _cells(profile[half][name])]
            shown.add_row(f"{half}: {name}", *cells, style="bold" if name == ALL else None, end_section=name == ALL)
    return shown


def _cells(spent: Spent) -> tuple[str, str]:
    return f"{spent.cpu_us:.1f}", f"{spent.waited_us:.1f}" if spent.waited_us else ""


if __name__ == "__main__":
    sys.exit(main())
