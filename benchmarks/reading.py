"""How fast the catalog is read: a pocket catalog, the store and the reader, each in a process of its own.

Cards by search alone, then everything; each first into an empty mirror and then compared with it. The calls made are
held against the fewest possible (`benchmarks.calls`).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from rich.table import Table

from benchmarks import calls, report
from benchmarks.builds import PRESENT, Build
from benchmarks.errors import BenchFailed
from benchmarks.parts import Parts
from sandbox.catalog import access
from sandbox.catalog.glossary import VALUES
from sandbox.parts.process import free_port

#: By the name of a figure: the passes that it is told of, cards alone and everything.
FIGURES = {
    "catalog_snapshot": ("snapshot_cards", "snapshot"),
    "catalog_reconcile": ("reconcile_cards", "reconcile"),
    "catalog_glossary": ("glossary",),
}
#: A process reads the cards, another one everything, a third the glossary, each on a store of its own.
_PROCESSES = (("snapshot_cards", "reconcile_cards"), ("snapshot", "reconcile"), ("glossary",))
#: Terms of the glossary that is read alone.
TERMS = 50_000
#: Seconds that one pass may take.
PASS_TIMEOUT_S = 7200.0
#: The most that can be set: the budget is not what is measured.
_CALLS_PER_MINUTE = 100_000
_SEED = 1
_LOG_TAIL_BYTES = 3000


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass took."""

    #: Or artifacts, where the glossary was read.
    assets: int
    seconds: float
    cpu_s: float
    rss_mib: float
    calls: int
    least_calls: int

    @property
    def rate(self) -> float:
        """Assets per second."""
        return self.assets / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU of the reading process per asset."""
        return self.cpu_s / self.assets * 1e6


Passes = dict[str, list[Pass]]


async def snapshot_cards(assets: int, on: Parts, build: Build) -> Pass:
    """Cards alone into an empty mirror, read by this build.

    Raises:
        BenchFailed: as of `run`.
    """
    name = "snapshot_cards"
    database = await asyncio.to_thread(on.new_database)
    async with pocket_catalog(assets) as url, reader(url, database, name, build=build) as process:
        return await pass_of(process, name, "asset", assets, database)


async def run(assets: int, on: Parts, chosen: Collection[str]) -> dict[str, Pass]:
    """Every pass that these figures are of, once, by name.

    Raises:
        BenchFailed: a pass went wrong, or did not read or find what it should.
    """
    found: dict[str, Pass] = {}
    wanted = {name for figure in chosen for name in FIGURES[figure]}
    for passes in _PROCESSES:
        if not wanted & set(passes):
            continue
        kind, number, terms = ("artifact", TERMS, TERMS) if passes == ("glossary",) else ("asset", assets, 0)
        database = await asyncio.to_thread(on.new_database)
        async with pocket_catalog(0 if terms else assets, terms) as url, reader(url, database, *passes) as process:
            for name in passes:
                found[name] = await pass_of(process, name, kind, number, database)
    return found


@asynccontextmanager
async def pocket_catalog(assets: int, terms: int = 0, values: int = VALUES) -> AsyncIterator[str]:
    """A pocket catalog in a process of its own; gives its URL."""
    told = {"--port": free_port(), "--assets": assets, "--terms": terms, "--values": values, "--seed": _SEED}
    words = ("catalog", *(str(word) for pair in told.items() for word in pair))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox", *words, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        greeting = (await process.stdout.readline()).decode()
        url = re.search(r"http://[^\s,]+", greeting)
        if url is None:
            raise BenchFailed(f"the pocket catalog said {greeting!r}")
        yield url[0]
    finally:
        await _end(process)


@asynccontextmanager
async def reader(
    url: str, store: str, *passes: str, build: Build = PRESENT
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that carries out these passes."""
    settings = {
        "CATALOG__URL": url, "CATALOG__IAM_URL": url, "CATALOG__API_KEY": access.API_KEY, "STORE__URL": store,
        "CATALOG__CALLS_PER_MINUTE": str(_CALLS_PER_MINUTE), "LOG__LEVEL": "warning",
    }  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CATALOG_MIRROR_")}
    environment = kept | {f"CATALOG_MIRROR_{name}": value for name, value in settings.items()}
    with TemporaryDirectory(prefix="cm-bench-") as directory:
        log = Path(directory) / "log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *build.command("benchmarks.reader", *passes),
                stdout=asyncio.subprocess.PIPE, stderr=errors, env=environment,
            )  # fmt: skip
        try:
            yield process
            if await process.wait():
                raise BenchFailed(f"the reader ended with exit code {process.returncode}")
        except BenchFailed as error:
            tail = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
            raise BenchFailed(f"{error}. Its log ends with:\n{tail}") from None
        finally:
            await _end(process)


async def told(process: asyncio.subprocess.Process, name: str) -> dict[str, Any]:
    """What the reader tells of a pass, when it is done."""
    assert process.stdout is not None
    async with asyncio.timeout(PASS_TIMEOUT_S):
        line = await process.stdout.readline()
    state: dict[str, Any] = json.loads(line) if line else {}
    if state.get("pass") != name:
        raise BenchFailed(f"the reader said {state or 'nothing more'} instead of {name}")
    return state


async def pass_of(process: asyncio.subprocess.Process, name: str, kind: str, number: int, database: str) -> Pass:
    """A pass that read so many of a kind, and what it took.

    Raises:
        BenchFailed: it went wrong, or did not read or find what it should.
    """
    state = await told(process, name)
    listed = state["kinds"][kind]["listed"]
    wrong = wrong_in(name, state)
    if listed < number:
        wrong.append(f"{listed} {kind}s were listed, not {number}")
    if wrong:
        raise BenchFailed(f"{name} went wrong: {'; '.join(wrong)}")
    least = await calls.least(database, state["calls"])
    return Pass(
        listed, state["seconds"], state["cpu_s"], state["rss_mib"], sum(state["calls"].values()), sum(least.values())
    )


def wrong_in(name: str, state: dict[str, Any]) -> list[str]:
    """What a pass should not have found, in words."""
    wrong = [*state["problems"]]
    for kind, counts in state["kinds"].items():
        allowed = ("listed", "missing") if name in ("snapshot", "snapshot_cards", "glossary", "values") else ("listed",)
        wrong += [f"{kind} {what}: {number}" for what, number in counts.items() if number and what not in allowed]
    return wrong


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        await process.wait()


def ratios(rounds: Passes, before: Sequence[Pass]) -> dict[str, float]:
    """Cards of a first snapshot against the build before."""
    found = report.ratio(rounds.get("snapshot_cards", []), before, lambda one: one.rate)
    return {} if found is None else {"snapshot_cards/before": found}


def summary(rounds: Passes, chosen: list[str], assets: int) -> dict[str, Any]:
    """For the last line: assets/s of the cards under the figure's name, and all the rest under `reading`."""
    figures = {name: round(median(one.rate for one in rounds[FIGURES[name][0]])) for name in chosen}
    reading = {
        name: {
            "assets_per_s": round(median(one.rate for one in passes)),
            "cpu_us_per_asset": round(median(one.cpu_us for one in passes)),
            "rss_mib": round(max(one.rss_mib for one in passes)),
            "calls": passes[-1].calls,
            "least_calls": passes[-1].least_calls,
        }
        for name, passes in rounds.items()
    }
    return {**figures, "reading": reading, "assets": assets}


def table(rounds: Passes) -> Table:
    """The same for people."""
    shown = Table(title="Reading the catalog, medians", title_justify="left", header_style="bold")
    columns = ("pass", "assets/s", "least to most", "CPU µs/asset", "peak MiB", "calls", "least calls")
    for column in columns:
        shown.add_column(column, justify="left" if column == "pass" else "right")
    for name, passes in rounds.items():
        rates = [one.rate for one in passes]
        shown.add_row(
            name,
            f"{median(rates):,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{median(one.cpu_us for one in passes):,.0f}",
            f"{max(one.rss_mib for one in passes):,.0f}",
            f"{passes[-1].calls:,}",
            f"{passes[-1].least_calls:,}",
        )
    return shown
