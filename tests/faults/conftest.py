"""The rig of the fault tests: a catalog that publishes, a service in a process of its own, a count of what was lost.

Every test breaks something real from outside, then says `resumed()`; when it leaves the rig, all that was sent has to
be in the mirror once, and the lineage of all of it at the receiver at least once. With `--figures FILE` each test adds
a line of JSON there, from which `make faults` makes the table of docs/guarantees.md.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aio_pika.exceptions import DeliveryError

from sandbox.parts.mirror import MirrorProcess
from tests.fixtures import OUTAGES, Catalog, Rows, make_profile_event

#: Seconds within which the service has to be at work again after a fault, where the broker has no wait of its own.
RESUMED_S = 45.0
#: Events published at once.
CHUNK = 50


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--figures", type=Path, help="add what each fault test counted to this file, as JSON lines")


@dataclass
class Figures:
    """What one fault test counted."""

    fault: str
    faults: int = 0
    sent: int = 0
    lost: int = 0
    #: Rows that differ from what was sent.
    wrong: int = 0
    lineage_lost: int = 0
    lineage_repeated: int = 0
    #: How often the broker, while it was up, refused what the catalog published at once.
    refused: int = 0
    #: Seconds from the end of each fault until one more event was mirrored and its lineage told.
    resumed_s: list[float] = field(default_factory=list)


class Rig:
    """One or more services on one queue and one store, and the catalog before them."""

    def __init__(self, fault: str, catalog: Catalog, rows: Rows, services: list[MirrorProcess]) -> None:
        self.catalog = catalog
        self.rows = rows
        self.services = services
        #: Nodes of a cluster are killed: a queue refuses what comes while it has no leader, and it is sent again.
        self.nodes_die = False
        #: Seconds within which the service has to be at work again after a fault.
        self.patience_s = RESUMED_S
        self.figures = Figures(fault)

    @property
    def service(self) -> MirrorProcess:
        """The first service."""
        return self.services[0]

    def event(self, number: int) -> tuple[str, bytes]:
        """Routing key and body of the event that the catalog publishes as this one of all."""
        return make_profile_event(number, at_s=number)

    async def publish(self, number: int) -> None:
        """Publish the next events, each confirmed; what an outage left unconfirmed is published again."""
        first = self.figures.sent
        events = [self.event(n) for n in range(first, first + number)]
        for start in range(0, number, CHUNK):
            await self._confirmed(events[start : start + CHUNK])
        self.figures.sent += number

    async def _confirmed(self, events: list[tuple[str, bytes]]) -> None:
        while True:
            try:
                async with asyncio.timeout(20):
                    return await self.catalog.publish(events)
            except DeliveryError:
                self.figures.refused += 1
                if not self.nodes_die:
                    raise
                await asyncio.sleep(0.2)
                await self.reconnect()  # a channel that met a dead leader refuses for as long as it is open
            except OUTAGES:
                await self.reconnect()

    async def reconnect(self) -> None:
        """Connect the catalog anew, however long the broker takes to come back."""
        await self.catalog.reconnect_at_last()

    async def mirrored(self) -> None:
        """Wait until all that was sent is in the mirror."""
        await self.rows.until("SELECT count(*) FROM data_profiles", self.figures.sent, self.patience_s)

    async def resumed(self) -> None:
        """The fault is over: measure how long it takes until one more event has gone all the way."""
        began = time.monotonic()
        self.figures.faults += 1
        await self.publish(1)
        await self.mirrored()
        await self.rows.until("SELECT count(*) FROM deliveries", 0, self.patience_s)
        self.figures.resumed_s.append(round(time.monotonic() - began, 2))

    async def count(self) -> None:
        """Count what was lost, and fail where anything was."""
        figures = self.figures
        await self.mirrored()
        await self.rows.until("SELECT count(*) FROM lineage_events WHERE own", figures.sent)
        await self.rows.until("SELECT count(*) FROM deliveries", 0)
        rows = await self.rows.all("SELECT profile_id, asset_id, status, version_at, document FROM data_profiles")
        figures.lost = figures.sent - len(rows)
        figures.wrong = len({_facts(*row) for row in rows} - {_told(self.event(n)[1]) for n in range(figures.sent)})
        own = {event_id for (event_id,) in await self.rows.all("SELECT event_id FROM lineage_events WHERE own")}
        await self.reconnect()
        came_back = await self.catalog.came_back()
        figures.lineage_lost = len(own - set(came_back))
        figures.lineage_repeated = len(came_back) - len(set(came_back))
        assert await self.rows.all("SELECT routing_key, reason FROM dead_letters") == []
        assert (figures.lost, figures.wrong, figures.lineage_lost, set(came_back) - own) == (0, 0, 0, set())


def _told(body: bytes) -> tuple[object, ...]:
    """What a row should hold, from the body of its event."""
    event = json.loads(body)
    ids, profile = event["details"], event["state"]["entity"]["data_profile"]
    at = datetime.fromisoformat(event["published"])
    return _facts(ids["profile_id"], ids["dataset_id"], profile["execution"]["status"], at, json.dumps(event["state"]))


def _facts(profile_id: str, asset_id: str, status: str, at: str | datetime, document: str) -> tuple[object, ...]:
    """The same of a row, whatever the store and the order of members in its document."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return profile_id, asset_id, status, moment, json.dumps(json.loads(document), sort_keys=True)


@pytest.fixture
def write_figures(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`write_figures(fault, **counts)` adds what the test counted to the file of `--figures`."""

    def write(fault: str, **counts: Any) -> None:
        path: Path | None = request.config.getoption("--figures")
        if path is not None:
            with path.open("a") as file:
                file.write(json.dumps({"test": request.node.nodeid, **vars(Figures(fault, **counts))}) + "\n")

    return write


@pytest.fixture
def rig(
    tmp_path: Path,
    rows_of: Callable[[str], Rows],
    write_figures: Callable[..., None],
) -> Callable[..., AbstractAsyncContextManager[Rig]]:
    """`rig(fault, amqp_url, store_url, through=…, replicas=1, **settings)`: ready when entered, counted when left."""

    @asynccontextmanager
    async def make(
        fault: str,
        amqp_url: str,
        store_url: str,
        *,
        through: str | None = None,
        replicas: int = 1,
        wait_ready: bool = True,
        sink: str = "classic",
        **settings: str,
    ) -> AsyncIterator[Rig]:
        chosen: dict[str, Any] = {
            "AMQP__URL": through or amqp_url,
            "STORE__URL": store_url,
            "RELAY__RETRY_MAX_S": "2",
            **settings,
        }
        async with AsyncExitStack() as stack:
            catalog = await stack.enter_async_context(Catalog(amqp_url, sink))
            services = [MirrorProcess(tmp_path / f"service-{n}.log", **chosen) for n in range(replicas)]
            for service in services:
                await stack.enter_async_context(service)
            made = Rig(fault, catalog, rows_of(store_url), services)
            if wait_ready:
                await asyncio.gather(*(service.wait_ready() for service in services))
            yield made
            await made.count()
            write_figures(**vars(made.figures))

    return make


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 64 MB of one's own, as what attempts leave behind needs room, too; only root may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    for parent in place.parents[:4]:
        parent.chmod(0o755)  # a database server is another user
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=777", "none", place], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system of its own: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


class FailingDisk:
    """A real file system in a file, which does what ext4 does when its disk fails: it becomes read-only."""

    def __init__(self, directory: Path) -> None:
        self.place = directory / "failing"
        self._image = directory / "failing.img"
        self.place.mkdir()
        with self._image.open("wb") as image:
            image.truncate(64 * 1024 * 1024)
        _root("mkfs.ext4", "-q", str(self._image))

    def mount(self) -> None:
        """Have it there, to be read and written."""
        _root("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.place))

    def fail(self) -> None:
        """The kernel meets an error in it."""
        name = Path(_root("losetup", "-n", "-O", "NAME", "-j", str(self._image)).strip()).name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("1")

    def repair(self) -> None:
        """What an operator does once nobody uses it."""
        _root("umount", str(self.place))
        _root("fsck.ext4", "-y", str(self._image), accept=(0, 1))
        self.mount()

    def remove(self) -> None:
        """Take it away, whoever still uses it."""
        _root("umount", "-l", str(self.place))


def _root(*command: str, accept: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in accept:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[FailingDisk]:
    """Only root may have one, where the kernel gives loop devices."""
    try:
        disk = FailingDisk(tmp_path)
        disk.mount()
    except OSError as error:
        pytest.skip(f"no file system of its own: {error}")
    yield disk
    disk.remove()


@pytest.fixture
def fill_up() -> Callable[[Path], None]:
    """Writes a file until its file system has no room left."""

    def fill(file: Path) -> None:
        with file.open("wb", buffering=0) as writing:
            try:
                while True:
                    writing.write(bytes(4096))
            except OSError:
                return

    return fill
