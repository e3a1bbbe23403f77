"""All contenders in turn, round after round; then reading the catalog, and lineage."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median
from typing import Any

from aio_pika.abc import AbstractConnection
from rich.console import Console

from benchmarks import (
    broker,
    catchup,
    columns,
    documents,
    growth,
    ingest,
    latency,
    lineage,
    parts,
    peer,
    pentaho,
    reading,
    report,
    runs,
    startup,
    usage,
)
from benchmarks.builds import PRESENT, Build
from benchmarks.errors import BenchFailed
from service.settings.model import Settings

#: For people; stdout is for the last line.
console = Console(stderr=True, highlight=False)
#: Rounds at most of what takes long and differs little.
FEW_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured, and how much of it."""

    #: Names of contenders and figures.
    chosen: Sequence[str]
    events: int
    assets: int
    rounds: int
    #: Events that wait for the service to catch up with.
    waiting: int
    #: Rows of the large mirror in every table.
    rows: int
    #: The build before, which runs beside this one in each round.
    against: Build | None = None

    def has(self, name: str) -> bool:
        """Whether this is to be measured."""
        return name in self.chosen


async def measure(plan: Plan, on: parts.Parts) -> None:
    """Run what is chosen, show the figures, and print the JSON line.

    Raises:
        BenchFailed: a run went wrong; no figures are printed then.
    """
    async with broker.connected(on.amqp_url) as connection:
        if await broker.is_taken(connection):
            raise BenchFailed(f"The vhost has an exchange {broker.EXCHANGE} already; give one of the bench's own.")
        settings = await _settings(connection, on)
        for name, value in settings.items():
            console.print(f"{name}: {value}", soft_wrap=True)
        try:
            found, before = await _rounds(plan, on, connection)
            told, ratios = await _service(plan, on, connection, found)
        finally:
            await broker.clean(connection)
    if found:
        console.print(report.table(found))
    figures = [name for name in reading.FIGURES if plan.has(name)]
    if figures:
        passes, earlier = await _readings(plan, on, figures)
        console.print(reading.table(passes))
        told |= reading.summary(passes, figures, plan.assets)
        ratios |= reading.ratios(passes, earlier)
    if plan.has(growth.NAME):
        with console.status("filling mirrors, and writing into them"):
            costs = await growth.measure(plan.rows)
        _show(growth.lines(costs))
        told |= growth.summary(costs)
        ratios |= growth.ratios(costs)
    told |= await _lineage(plan.chosen, on)
    line = report.summary(found, before, settings, plan.events, plan.rounds) | told
    line["ratios"] |= ratios
    _show(report.ratio_lines(line["ratios"]))
    print(json.dumps(line), flush=True)


async def _service(
    plan: Plan, on: parts.Parts, connection: AbstractConnection, found: report.Rounds
) -> tuple[dict[str, Any], dict[str, float]]:
    """How quickly it answers, what memory it takes, how it starts and rests: for the last line, and its ratios."""
    told: dict[str, Any] = {}
    ratios: dict[str, float] = {}
    few = range(min(plan.rounds, FEW_ROUNDS))
    if plan.has(latency.NAME):
        main_job = found.get(latency.SERVICE.name) or [await runs.run(latency.SERVICE, plan.events, on, connection)]
        with console.status("waiting for answers"):
            delays = [await latency.measure(on, connection, median(run.rate for run in main_job)) for _ in few]
        _show(latency.lines(delays))
        told |= latency.summary(delays)
        ratios |= latency.ratios(delays)
    if plan.has(catchup.NAME):
        with console.status("catching up"):
            memory = await catchup.measure(plan.waiting, on, connection)
        _show([catchup.line(memory)])
        told |= catchup.summary(memory)
    if plan.has(startup.NAME):
        with console.status("starting, and resting"):
            starts = [await startup.measure(on, connection) for _ in few]
        _show([startup.line(starts)])
        told |= startup.summary(starts)
    return told, ratios


def _show(lines: Sequence[str]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True)


async def _lineage(chosen: Sequence[str], on: parts.Parts) -> dict[str, Any]:
    """What the graph answers, how lineage comes in, what usage comes to; shown, and told for the last line."""
    told: dict[str, Any] = {}
    if lineage.NAME in chosen:
        with console.status("asking the lineage graph"):
            found = await lineage.measure(on)
        console.print(lineage.table(found))
        told |= lineage.summary(found)
    if columns.NAME in chosen:
        with console.status("asking the graph of columns"):
            by_size = await columns.measure(on)
        console.print(columns.table(by_size))
        told |= columns.summary(by_size)
    if ingest.NAME in chosen:
        with console.status("taking lineage in"):
            rates = await ingest.measure(on)
        console.print(f"Into the store: {rates['profiles']:,.0f} profiles/s, {rates['lineage']:,.0f} lineage events/s")
        told |= ingest.summary(rates)
    if usage.NAME in chosen:
        with console.status("counting a window of usage"):
            took = await usage.measure(on)
        united = f"{took['united']:.1f} s with copies united"
        console.print(f"A window of {usage.FACTS:,} uses: {took['alone']:.1f} s, {united}")
        told |= usage.summary(took)
    if documents.NAME in chosen:
        with console.status("reading the document of a profile"):
            document = await documents.measure()
        console.print(documents.line(document))
        told |= documents.summary(document)
    if pentaho.NAME in chosen:
        with console.status("telling Pentaho"):
            jobs = await pentaho.measure(on)
        console.print(pentaho.line(jobs))
        told |= pentaho.summary(jobs)
    return told


async def _readings(plan: Plan, on: parts.Parts, figures: Sequence[str]) -> tuple[reading.Passes, list[reading.Pass]]:
    """All passes of this build, and the first snapshots of the one before."""
    found: reading.Passes = {}
    before: list[reading.Pass] = []
    for number in range(1, plan.rounds + 1):
        with console.status(f"round {number} of {plan.rounds}: reading the catalog"):
            passes = await reading.run(plan.assets, on, figures)
            if plan.against and "snapshot_cards" in passes:
                before.append(await reading.snapshot_cards(plan.assets, on, plan.against))
        for name, one in passes.items():
            found.setdefault(name, []).append(one)
            pace = f"{one.rate:>7,.0f} assets/s in {one.seconds:4.1f} s"
            console.print(f"round {number} of {plan.rounds}: {name:<25} {pace}")
    return found, before


async def _rounds(plan: Plan, on: parts.Parts, connection: AbstractConnection) -> tuple[report.Rounds, report.Rounds]:
    """The chosen contenders in turn, those of this build and of the one before; the latter come right after."""
    builds = [build for build in (PRESENT, plan.against) if build]
    jobs = [job for job in runs.JOBS if plan.has(job.name)]
    found: dict[str, report.Rounds] = {build.name: {} for build in builds}
    for number in range(1, plan.rounds + 1):
        for job, build in [(job, build) for job in jobs for build in builds if build is PRESENT or job.is_compared]:
            name = job.name if build is PRESENT else f"{job.name}, {build.name}"
            with console.status(f"round {number} of {plan.rounds}: {name}"):
                result = await runs.run(job, plan.events, on, connection, build)
            found[build.name].setdefault(job.name, []).append(result)
            pace = f"{result.rate:>7,.0f} events/s in {result.seconds:4.1f} s"
            console.print(f"round {number} of {plan.rounds}: {name:<25} {pace}")
    return found[PRESENT.name], found.get("before", {})


async def _settings(connection: AbstractConnection, on: parts.Parts) -> dict[str, Any]:
    defaults = Settings.model_construct()
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores for everything",
        "python": platform.python_version(),
        "broker": broker.version_of(connection),
        "postgresql": await parts.postgres_settings(on.postgres_url),
        "service": {"prefetch": defaults.amqp.prefetch, "batch_max": defaults.pipeline.batch_max},
        "faststream": {
            "version": version("faststream"),
            "prefetch": peer.PREFETCH,
            "pool": peer.POOL_SIZE,
        },
    }
