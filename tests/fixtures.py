"""Fixtures of the tests that see the service from outside; tests/conftest.py loads them.

The service runs in a process of its own, a catalog publishes, and the mirror's rows are looked at.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import aio_pika
import pytest
import sqlalchemy as sa
from aio_pika.abc import AbstractChannel, AbstractExchange
from pydantic import SecretStr

from sandbox.catalog import access
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.server import serve
from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.mounted import MountedSecrets
from sandbox.parts.prepared import PreparedProcess, can_begin
from sandbox.parts.shell import PreparedCommands
from service.mirror.store import Store
from service.settings.model import StoreSettings

EXCHANGE = "CatalogServiceMessageHub"
QUEUE = "catalog-mirror"
PATIENCE_S = 45.0
#: What an outage of the broker raises in the client.
OUTAGES = (aio_pika.exceptions.AMQPError, OSError, TimeoutError, RuntimeError)


def make_profile_event(number: int, at_s: int = 0, rows: int = 1) -> tuple[str, bytes]:
    """Routing key and body of one profile event."""
    body = {
        "event": "UPDATE_DATA_PROFILE",
        "published": f"2026-05-10T{at_s // 3600:02d}:{at_s // 60 % 60:02d}:{at_s % 60:02d}Z",
        "state": {
            "metadata": {"guid": f"p{number}", "dataset_id": f"a{number % 7}", "catalog_id": "c1"},
            "entity": {"data_profile": {"execution": {"status": "finished"}, "columns": []}},
            "rows": rows,
        },
        "details": {"catalog_id": "c1", "dataset_id": f"a{number % 7}", "profile_id": f"p{number}"},
    }
    return f"v2.data_profiles.p{number}.PATCH", json.dumps(body).encode()


class Catalog:
    """The catalog's side of the broker: its exchange, and a sink for the lineage that comes back."""

    def __init__(self, url: str, queue_type: str = "classic") -> None:
        self.url = url
        self._sink_arguments: dict[str, Any] = {"x-queue-type": queue_type}

    async def __aenter__(self) -> "Catalog":
        self._connection = await aio_pika.connect(self.url)
        self.channel: AbstractChannel = await self._connection.channel()
        kind = aio_pika.ExchangeType.TOPIC
        self.exchange: AbstractExchange = await self.channel.declare_exchange(EXCHANGE, kind, durable=True)
        self.sink = await self.channel.declare_queue("sink", durable=True, arguments=self._sink_arguments)
        await self.sink.bind(self.exchange, "v2.lineage_events.*.MIRROR")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def reconnect(self) -> None:
        """Connect anew, after the broker was away."""
        with suppress(aio_pika.exceptions.AMQPError, OSError, RuntimeError):
            await self._connection.close()
        await self.__aenter__()

    async def reconnect_at_last(self) -> None:
        """Connect anew, however long the broker takes to come back."""
        while True:
            try:
                return await self.reconnect()
            except OUTAGES:
                await asyncio.sleep(0.2)

    async def publish(self, events: Iterable[tuple[str, bytes]]) -> None:
        """Publish, each confirmed."""
        await asyncio.gather(
            *(
                self.exchange.publish(aio_pika.Message(body, delivery_mode=2), key, mandatory=False)
                for key, body in events
            )
        )

    async def bind_mirror_queue(self) -> None:
        """Make the mirror's queue before the service runs, with its own arguments."""
        arguments: dict[str, Any] = {
            "x-queue-type": "quorum",
            "x-max-length-bytes": 2 * 1024**3,
            "x-overflow": "drop-head",
            "x-delivery-limit": 10_000,
        }
        queue = await self.channel.declare_queue(QUEUE, durable=True, arguments=arguments)
        await queue.bind(self.exchange, "v2.data_profiles.*.PATCH")

    async def came_back(self) -> list[str]:
        """Ids of all lineage events in the sink, taken out of it."""
        ids = []
        while (message := await self.sink.get(fail=False, no_ack=True)) is not None:
            ids.append(json.loads(message.body)["event_details"]["event_id"])
        return ids


@pytest.fixture
def profile_event() -> Callable[..., tuple[str, bytes]]:
    """Makes routing key and body of one profile event: `(number, at_s=…, rows=…)`."""
    return make_profile_event


@pytest.fixture
def make_catalog() -> Callable[[str], Catalog]:
    """A catalog on a broker of the test's choice, as a context manager."""
    return Catalog


@pytest.fixture
def run_command(tmp_path: Path) -> Callable[..., Awaitable[str]]:
    """Runs `catalog-mirror …` with these settings; answers its output, fails if it fails."""

    async def run(*arguments: str, expect: int | None = 0, **settings: str) -> str:
        environment = {**os.environ, **{f"CATALOG_MIRROR_{name}": value for name, value in settings.items()}}
        if MirrorProcess.is_prepared and can_begin(environment):
            said = tmp_path / f"command-{uuid4().hex}"
            code: int | None = await PreparedProcess(arguments, environment, said).wait()
            output = said.read_bytes() if said.exists() else b""
        else:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "service", *arguments, env=environment, stdout=PIPE, stderr=STDOUT
            )
            output, _ = await process.communicate()
            code = process.returncode
        assert expect is None or code == expect, output.decode()
        return output.decode()

    return run


@pytest.fixture(scope="session")
def commands_path() -> Iterator[str]:
    """`PATH` for scripts that call `catalog-mirror`, and `python` for that of the tests."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if not MirrorProcess.is_prepared:
        yield path
        return
    with TemporaryDirectory() as place, PreparedCommands(Path(place)) as commands:  # a socket's path has to be short
        yield f"{commands.directory}{os.pathsep}{path}"


@pytest.fixture
async def catalog(amqp_url: str) -> AsyncIterator[Catalog]:
    """A catalog on the test's own vhost."""
    async with Catalog(amqp_url) as catalog:
        yield catalog


@pytest.fixture
def mounted(tmp_path: Path) -> MountedSecrets:
    """Secrets as Kubernetes mounts them; `put` exchanges them all at once."""
    return MountedSecrets(tmp_path / "secrets")


@pytest.fixture
def mirror_process(tmp_path: Path) -> Callable[..., MirrorProcess]:
    """Makes services of this test's own; their log is `service.log`."""
    return lambda **settings: MirrorProcess(tmp_path / "service.log", **settings)


@pytest.fixture
def pocket() -> PocketCatalog:
    """A small pocket catalog."""
    return PocketCatalog(seed=1, assets=40)


@pytest.fixture
async def pocket_settings(pocket: PocketCatalog) -> AsyncIterator[dict[str, str]]:
    """The pocket catalog served; settings (names without `CATALOG_MIRROR_`) by which a service or command reads it."""
    async with serve(pocket) as url:
        yield {
            "CATALOG__URL": url,
            "CATALOG__IAM_URL": url,
            "CATALOG__API_KEY": access.API_KEY,
            "CATALOG__CALLS_PER_MINUTE": "100000",
        }


class Rows:
    """Looks into the mirror from outside."""

    def __init__(self, url: str) -> None:
        self.store = Store(StoreSettings(url=SecretStr(url)))

    async def all(self, query: str) -> list[tuple[Any, ...]]:
        async with self.store.read() as connection:
            return [tuple(row) for row in await connection.execute(sa.text(query))]

    async def one(self, query: str) -> Any:
        return (await self.all(query))[0][0]

    async def execute(self, *statements: str) -> None:
        """Write behind the service's back."""
        async with self.store.write() as connection:
            for statement in statements:
                await connection.execute(sa.text(statement))

    async def until(self, query: str, value: Any, patience_s: float = PATIENCE_S) -> None:
        """Wait until the query's one value is this."""
        deadline = asyncio.get_running_loop().time() + patience_s
        found: Any = None
        while asyncio.get_running_loop().time() < deadline:
            try:
                found = await self.one(query)
            except sa.exc.SQLAlchemyError as error:
                found = error
            if found == value:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{query}: {found!r} instead of {value!r} after {patience_s} s")


@pytest.fixture
async def rows_of() -> AsyncIterator[Callable[[str], Rows]]:
    """Looks into the mirror at a URL."""
    made: list[Rows] = []

    def make(url: str) -> Rows:
        made.append(Rows(url))
        return made[-1]

    yield make
    for rows in made:
        await rows.store.close()
