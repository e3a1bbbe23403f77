"""All contenders in turn, round after round; then reading the catalog, and lineage."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from aio_pika.abc import AbstractConnection
from rich.console import Console

from benchmarks import broker, columns, documents, ingest, lineage, parts, peer, pentaho, reading, report, runs, usage
from benchmarks.errors import BenchFailed
from service.settings.model import Settings

#: For people; stdout is for the last line.
console = Console(stderr=True, highlight=False)


async def measure(chosen: Sequence[str], events: int, assets: int, rounds: int, on: parts.Parts) -> None:
    """Run the chosen contenders, show the figures, and print the JSON line.

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
            found = await _rounds(chosen, events, rounds, on, connection)
        finally:
            await broker.clean(connection)
    figures = [name for name in reading.FIGURES if name in chosen]
    passes = await _readings(assets, rounds, on, figures) if figures else {}
    if found:
        console.print(report.table(found))
    for line in report.ratio_lines(found):
        console.print(line)
    if figures:
        console.print(reading.table(passes))
    told = reading.summary(passes, figures, assets) if figures else {}
    told |= await _lineage(chosen, on)
    print(json.dumps({**report.summary(found, settings, events, rounds), **told}), flush=True)


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


async def _readings(assets: int, rounds: int, on: parts.Parts, figures: Sequence[str]) -> reading.Passes:
    found: reading.Passes = {}
    for number in range(1, rounds + 1):
        with console.status(f"round {number} of {rounds}: reading the catalog"):
            passes = await reading.run(assets, on, figures)
        for name, one in passes.items():
            found.setdefault(name, []).append(one)
            console.print(f"round {number} of {rounds}: {name:<23} {one.rate:>7,.0f} assets/s in {one.seconds:4.1f} s")
    return found


async def _rounds(
    chosen: Sequence[str], events: int, rounds: int, on: parts.Parts, connection: AbstractConnection
) -> report.Rounds:
    jobs = [job for job in runs.JOBS if job.name in chosen]
    found: report.Rounds = {job.name: [] for job in jobs}
    for number in range(1, rounds + 1):
        for job in jobs:
            with console.status(f"round {number} of {rounds}: {job.name}"):
                result = await runs.run(job, events, on, connection)
            found[job.name].append(result)
            console.print(
                f"round {number} of {rounds}: {job.name:<23} {result.rate:>7,.0f} events/s in {result.seconds:4.1f} s"
            )
    return found


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
