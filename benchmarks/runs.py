"""One run: a filled queue, one contender in a process of its own, its time, and the proof that it did the work."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
from aio_pika.abc import AbstractConnection

from benchmarks import broker, contender, disk, proof
from benchmarks.builds import PRESENT, Build
from benchmarks.errors import BenchFailed
from benchmarks.events import Load, load_of
from benchmarks.parts import Parts

#: Seconds that a contender may take from its start until the last event is acknowledged.
RUN_TIMEOUT_S = 300.0
#: Seconds that a contender may take to end after SIGTERM.
STOP_TIMEOUT_S = 30.0
LOG_TAIL_BYTES = 3000


@dataclass(frozen=True, slots=True)
class Job:
    """What one contender is given to do."""

    name: str
    #: Of the events of a run, so that slow ones run for a few seconds too.
    share: float = 1.0
    #: postgresql, sqlite, or none where nothing is stored.
    store: str | None = "postgresql"
    answers: bool = False
    is_service: bool = False
    #: Changes are told to a target that settings name.
    tells: bool = False

    @property
    def is_compared(self) -> bool:
        """Whether the build before does it, too, where one is named."""
        return self.is_service and self.store == "postgresql"


MAIN_JOB = Job("main_job", answers=True, is_service=True)
#: In the order of a round: what is compared stands side by side.
JOBS = (
    Job("raw_consumer", store=None),
    Job("mirror_postgresql", is_service=True),
    Job("peer_faststream_mirror", share=1 / 3),
    Job("mirror_sqlite", store="sqlite", is_service=True),
    MAIN_JOB,
    Job("peer_faststream", share=1 / 3, answers=True),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What one run showed."""

    events: int
    seconds: float
    cpu_s: float
    rss_mib: float
    #: CPU of the PostgreSQL server meanwhile, where it is a private one and something is stored.
    server_cpu_s: float | None = None
    #: What a profile takes on disk afterwards, in bytes, where it is mirrored in PostgreSQL.
    profile_bytes: float | None = None

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU that the contender's process took for one event."""
        return self.cpu_s / self.events * 1e6

    @property
    def server_cpu_us(self) -> float | None:
        """Microseconds of CPU that the PostgreSQL server took for one event."""
        return None if self.server_cpu_s is None else self.server_cpu_s / self.events * 1e6


async def run(
    job: Job,
    events: int,
    parts: Parts,
    connection: AbstractConnection,
    build: Build = PRESENT,
    *,
    settings: Mapping[str, str] = {},
    company: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
) -> Result:
    """Measure one contender once.

    Args:
        settings: more of its environment.
        company: what goes on beside it, from its first event to its last.

    Raises:
        BenchFailed: it ended early, took too long, or left another result than it should have.
    """
    load = load_of(max(1, round(events * job.share)))
    with tempfile.TemporaryDirectory(prefix="cm-bench-") as directory:
        store = await _store_url(job, parts, Path(directory))
        async with broker.filled(connection, load) as queues:
            environment = {**environment_of(job, len(load.samples), parts.amqp_url, queues, store), **settings}
            async with running(job.name, environment, Path(directory) / "log", build) as process:
                result = await _measure(process, job, load, connection, queues, store, parts, company)
            await _prove(job, load, connection, queues, store)
        if job.is_service and job.store == "postgresql":
            result = replace(result, profile_bytes=await disk.bytes_per_profile(store))
    return result


async def _store_url(job: Job, parts: Parts, directory: Path) -> str:
    if job.store == "sqlite":
        return f"sqlite:///{directory / 'mirror.db'}"
    if job.store is None:
        return ""
    url = await asyncio.to_thread(parts.new_database)
    if not job.is_service:
        from benchmarks.peer import TABLES

        connection = await asyncpg.connect(url)
        await connection.execute(TABLES)
        await connection.close()
    return url


def environment_of(job: Job, events: int, amqp_url: str, queues: broker.Queues, store: str) -> dict[str, str]:
    """Settings as a user would give them; nothing of the caller's own reaches the service."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CATALOG_MIRROR_")}
    return kept | {
        contender.AMQP_URL: amqp_url,
        contender.QUEUE: queues.events,
        contender.DATABASE_URL: store,
        contender.EVENTS: str(events),
        "CATALOG_MIRROR_AMQP__URL": amqp_url,
        "CATALOG_MIRROR_AMQP__QUEUE": queues.events,
        "CATALOG_MIRROR_STORE__URL": store,
        "CATALOG_MIRROR_TARGETS__CATALOG_LINEAGE__VIA": "amqp" if job.answers else "off",
        "CATALOG_MIRROR_HTTP__PORT": "0",
        "CATALOG_MIRROR_HTTP__API_PORT": "0",
    }


@asynccontextmanager
async def running(
    name: str, environment: Mapping[str, str], log: Path, build: Build = PRESENT
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A contender of a build in a process of its own.

    Raises:
        BenchFailed: it, or what is done with it, failed or took too long; with the end of its log.
    """
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *build.command("benchmarks.contender", name),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=output, env=environment,
        )  # fmt: skip
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            code = await process.wait()
        if code not in (0, -signal.SIGTERM):
            raise BenchFailed(f"it ended with exit code {code}")
    except (BenchFailed, TimeoutError) as error:
        tail = log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        raise BenchFailed(f"{name}: {str(error) or 'it took too long'}. Its log ends with:\n{tail}") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _measure(
    process: asyncio.subprocess.Process,
    job: Job,
    load: Load,
    connection: AbstractConnection,
    queues: broker.Queues,
    store: str,
    parts: Parts,
    company: Callable[[], AbstractAsyncContextManager[object]],
) -> Result:
    """From the start of consuming to the last acknowledgement, and where lineage is due, to its last confirm."""
    async with asyncio.timeout(RUN_TIMEOUT_S):
        began = await told(process, "began")
        server_s = parts.server_cpu_s() if job.store == "postgresql" else None
        async with company():
            ended = await told(process, "acked")
        ended_s = float(ended["at_s"])
        if job.answers:
            await broker.until_holds(connection, queues.sink, len(load.samples))
        if job.is_service and (job.answers or job.tells):
            await proof.until_delivered(store)
        if job.answers or job.tells:
            ended_s = max(ended_s, time.monotonic())
        used = await asked(process)
    cpu_s = used["cpu_s"] - began["cpu_s"]
    if server_s is not None:
        server_s = (parts.server_cpu_s() or 0.0) - server_s
    return Result(len(load.samples), ended_s - began["at_s"], cpu_s, used["rss_mib"], server_s)


async def told(process: asyncio.subprocess.Process, what: str) -> dict[str, Any]:
    """What the contender says next; raises `BenchFailed` where it is something else."""
    if process.stdout is None:
        raise BenchFailed("it has no output")
    line = await process.stdout.readline()
    state: dict[str, Any] = json.loads(line) if line else {}
    if state.get("what") != what:
        raise BenchFailed(f"it said {state or 'nothing more'} instead of {what}")
    return state


async def asked(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """How the contender is now: its clock, CPU and peak memory."""
    if process.stdin is None:
        raise BenchFailed("it takes no input")
    process.stdin.write(b"?\n")
    await process.stdin.drain()
    return await told(process, "asked")


async def _prove(job: Job, load: Load, connection: AbstractConnection, queues: broker.Queues, store: str) -> None:
    """Look at what the run left: nothing in the queue, the right rows, the right lineage."""
    wrong = []
    if left := await broker.ready(connection, queues.events):
        wrong.append(f"{left} messages came back to the queue")
    if job.store:
        wrong += await asyncio.to_thread(proof.wrong_rows, store, load, job.is_service, job.answers, job.tells)
    wanted = len(load.samples) if job.answers else 0
    there = await broker.ready(connection, queues.sink)
    ids = await broker.message_ids(connection, queues.sink, there)
    if there != wanted or len(ids) != wanted:
        wrong.append(f"the sink has {there} lineage events with {len(ids)} ids instead of {wanted}")
    if wrong:
        raise BenchFailed(f"{job.name} left a wrong result: {'; '.join(wrong)}.")
