"""The world of the day: a catalog that changes and tells of it, replicas of the mirror, and whoever they tell.

Each replica has a way of its own to the broker and to the store, which can be cut, and a clock of its own, which can
step. What comes by is noted here as it is sent and taken; `ledgers` compares it in the end.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
import uuid
from asyncio.subprocess import DEVNULL
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yaml

from sandbox.catalog import access
from sandbox.catalog import server as catalogs
from sandbox.catalog.feed import Message, Mischief, Scrambler
from sandbox.catalog.history import History
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.model import PocketCatalog
from sandbox.openlineage import backend as backends
from sandbox.openlineage.backend import PocketBackend
from sandbox.parts.broker import PrivateBroker
from sandbox.parts.clock import SteppingClock
from sandbox.parts.mirror import COMMAND, MirrorProcess, environment_of
from sandbox.parts.postgres import PrivatePostgres
from sandbox.parts.process import free_port, off_loop
from sandbox.parts.proxy import TcpProxy
from sandbox.webhook import receiver as webhooks
from sandbox.webhook.receiver import PocketReceiver
from tests.fixtures import OUTAGES, QUEUE, Catalog

T = TypeVar("T")

ASSETS = 200
#: What several queues take.
PLUGINS = ("rabbitmq_consistent_hash_exchange",)
#: Of the database, the vhost, and whatever the day makes up.
DAY = "day"
#: The catalog's searches see a change so much later, in seconds.
LAG_S = 2.0
#: What becomes of the catalog's own messages on their way. None that is noted in a ledger is among them.
MISCHIEF = Mischief(drop=0.01, repeat=0.05, reorder=0.1)
#: Changes in the catalog, and events of others, a second.
CHANGES_PER_S, EVENTS_PER_S = 4.0, 8.0
#: Messages that are published at once.
_CHUNK = 50
_TOKEN, _SECRET = "day-0123456789abcdef", "whsec_" + base64.b64encode(b"a secret of thirty-two bytes....").decode()

#: So that what a fault takes away is missed within seconds, and what comes seldom comes often.
_SOON = {
    "AMQP__HEARTBEAT_S": "5", "STORE__TIMEOUT_S": "5", "RELAY__LEASE_S": "10", "RELAY__RETRY_MAX_S": "2",
    "CATALOG__CALLS_PER_MINUTE": "100000", "CATALOG__TIMEOUT_S": "5", "PIPELINE__BATCH_MAX": "100",
    "SYNC__POLL": "2s", "SYNC__INDEX_LAG": "10s", "SYNC__ROTATION": "3m", "SYNC__RECONCILE": "10m",
    "SYNC__BRAKE_ROWS": "1000000",
}  # fmt: skip

#: Calls `catalog-mirror …` with settings; raises AssertionError with what it said where it fails.
RunCommand = Callable[..., Awaitable[str]]
#: Seconds within which a command has to do what it is called for, called again where what it needs is away.
_COMMAND_S = 120.0


class Broadcast:
    """The catalog's way to the exchange: one after the other, each confirmed, and again until it is."""

    def __init__(self, catalog: Catalog, seed: int) -> None:
        self._catalog, self._scrambler = catalog, Scrambler(MISCHIEF, seed)
        self._waiting: deque[Message] = deque()
        self.sent = 0

    def __call__(self, routing_key: str, body: bytes) -> None:
        """Take a message, which may come to harm on the way."""
        self._waiting.extend(self._scrambler.pass_on((routing_key, body)))

    def announce(self, routing_key: str, body: dict[str, Any] | bytes) -> None:
        """Take a message that arrives."""
        self._waiting.append((routing_key, body if isinstance(body, bytes) else json.dumps(body).encode()))

    async def run(self) -> None:
        """Publish what waits, for as long as it is not cancelled."""
        while True:
            chunk = [self._waiting[place] for place in range(min(_CHUNK, len(self._waiting)))]
            if not chunk:
                await asyncio.sleep(0.05)
                continue
            try:
                async with asyncio.timeout(20):
                    await self._catalog.publish(chunk)
            except OUTAGES:
                await self._catalog.reconnect_at_last()
                continue
            for _ in chunk:
                self._waiting.popleft()
            self.sent += len(chunk)

    async def drained(self) -> None:
        """Wait until the broker has all of it."""
        self._waiting.extend(self._scrambler.flush())
        while self._waiting:
            await asyncio.sleep(0.1)


@dataclass
class Replica:
    """One process of the service, and what it stands on."""

    number: int
    process: MirrorProcess
    command: tuple[str, ...]
    settings: dict[str, Any]
    log: Path
    broker: TcpProxy
    store: TcpProxy
    clock: SteppingClock
    api: str
    #: MiB, as often as somebody looked.
    memory: list[float] = field(default_factory=list)

    async def start_with(self, **settings: str) -> None:
        """Start it, once it has ended, with other settings."""
        self.settings |= settings
        self.process = MirrorProcess(self.log, self.command, **self.settings)
        await self.process.start()

    def look(self) -> None:
        """Note how much memory the process has."""
        with suppress(OSError):
            lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
            self.memory += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")]


@dataclass
class Noted:
    """What was sent by others than the catalog, and has to be there in the end."""

    #: Ids of lineage events that were published.
    published: set[str] = field(default_factory=set)
    #: Ids of OpenLineage runs that the mirror said it had taken.
    taken: set[str] = field(default_factory=set)
    #: Messages that nobody can read.
    poison: int = 0


class World:
    """All of it; see `opened`."""

    def __init__(self, stack: AsyncExitStack, place: Path, seed: int, run_command: RunCommand) -> None:
        self._stack, self._place, self._run_command = stack, place, run_command
        self.rng = random.Random(seed)
        self.noted = Noted()
        self.replicas: list[Replica] = []
        self.pocket = PocketCatalog(seed=seed, assets=ASSETS, knobs=Knobs(index_lag_s=LAG_S))
        self.history = History(self.pocket, seed)
        self.receiver, self.backend = PocketReceiver([_SECRET]), PocketBackend()
        self.broker: PrivateBroker
        self.primary: PrivatePostgres
        self.standby: PrivatePostgres
        self.broadcast: Broadcast
        self._session: aiohttp.ClientSession
        self._broker_url = ""
        self._settings: dict[str, str] = {}

    @classmethod
    @asynccontextmanager
    async def opened(cls, place: Path, seed: int, run_command: RunCommand) -> AsyncIterator[World]:
        """Broker, database with a standby, catalog and receivers are up; replicas are still to be started."""
        async with AsyncExitStack() as stack:
            world = cls(stack, place, seed, run_command)
            await world._open()
            yield world

    async def _open(self) -> None:
        enter = self._stack.enter_async_context
        self.broker = await enter(off_loop(PrivateBroker(plugins=PLUGINS)))
        self._broker_url = await asyncio.to_thread(self.broker.add_vhost, DAY)
        self.primary = await enter(off_loop(PrivatePostgres()))
        await asyncio.to_thread(self.primary.create_database, DAY)
        await self.follow()
        self._session = await enter(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
        url = await enter(catalogs.serve(self.pocket))
        secret, tokens = self._place / "webhook.secret", self._place / "tokens.yaml"
        secret.write_text(_SECRET)
        tokens.write_text(yaml.safe_dump({"producer": {"token": _TOKEN, "scopes": ["ingest"]}}))
        self._settings = {
            **_SOON, "CATALOG__URL": url, "CATALOG__IAM_URL": url, "CATALOG__API_KEY": access.API_KEY,
            "TARGETS__WEBHOOK__URL": await enter(webhooks.serve(self.receiver)),
            "TARGETS__WEBHOOK__SECRET_FILE": str(secret),
            "TARGETS__OPENLINEAGE__URL": await enter(backends.serve(self.backend)),
            "HTTP__TOKENS_FILE": str(tokens),
        }  # fmt: skip
        self.broadcast = Broadcast(await enter(Catalog(self._broker_url)), self.rng.randrange(10**6))
        self.pocket.sink = self.broadcast

    @property
    def settings(self) -> dict[str, str]:
        """Those of a command that is called beside the replicas."""
        return self._settings | {"STORE__URL": self.store_url, "AMQP__URL": self._broker_url}

    @property
    def store_url(self) -> str:
        """The database, wherever it is now."""
        return self.primary.database_url(DAY)

    async def follow(self) -> None:
        """Give the database a standby, without which nothing is committed from now on."""
        self.standby = await self._stack.enter_async_context(off_loop(PrivatePostgres(follows=self.primary)))
        await asyncio.to_thread(self.primary.wait_for_standby)

    async def fail_over(self) -> None:
        """The database dies, and its standby takes over."""
        former = self.primary
        await asyncio.to_thread(former.kill)
        await asyncio.to_thread(self.standby.promote)
        self.primary = self.standby
        for replica in self.replicas:
            replica.store.lead_to(self.primary.url)
            replica.store.cut()
        await self.follow()
        await asyncio.to_thread(former.close)

    async def add_replica(self) -> Replica:
        """Start one more."""
        number, enter = len(self.replicas), self._stack.enter_async_context
        place = self._place / f"replica-{number}"
        place.mkdir()
        broker = await enter(TcpProxy.before(self._broker_url))
        store = await enter(TcpProxy.before(self.store_url))
        clock, port = SteppingClock(place), free_port()
        told = [f"{name}={value}" for name, value in clock.environment.items()]
        settings: dict[str, Any] = self._settings | {
            "AMQP__URL": broker.through(self._broker_url), "STORE__URL": store.through(self.store_url),
            "HTTP__API_PORT": str(port),
        }  # fmt: skip
        command, log = ("env", *told, *COMMAND), place / "log"
        process = MirrorProcess(log, command, **settings)
        api = f"http://127.0.0.1:{port}"
        replica = Replica(number, process, command, settings, log, broker, store, clock, api)
        self._stack.push_async_callback(lambda: replica.process.kill())
        await process.start()
        self.replicas.append(replica)
        return replica

    def endlessly(self, kinds: Sequence[T]) -> Iterator[T]:
        """All of them, in a new order each time."""
        while True:
            yield from self.rng.sample(kinds, len(kinds))

    async def command(self, *words: str) -> None:
        """Call `catalog-mirror …` beside the replicas, until it succeeds."""
        end = time.monotonic() + _COMMAND_S
        while True:
            try:
                await self._run_command(*words, **self.settings)
                return
            except AssertionError:
                if time.monotonic() > end:
                    raise
            await asyncio.sleep(1)

    async def kill_command(self, *words: str, after_s: float) -> None:
        """Call `catalog-mirror …` and kill it after so many seconds, should it not be done by then."""
        environment = environment_of(self.settings)
        process = await asyncio.create_subprocess_exec(
            *COMMAND[:-1], *words, env=environment, stdout=DEVNULL, stderr=DEVNULL
        )
        try:
            await asyncio.wait_for(process.wait(), after_s)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def wait_ready(self) -> None:
        """Wait until every replica is."""
        for replica in self.replicas:
            await replica.process.wait_ready()

    async def wait_queue(self) -> None:
        """Wait until the broker would know our queue after it was killed."""
        await asyncio.to_thread(self.broker.wait_registered, DAY, QUEUE)

    async def live(self) -> None:
        """Days pass in the catalog, and others tell of theirs; for as long as it is not cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._change())
            tasks.create_task(self._tell())
            tasks.create_task(self._look())

    async def _change(self) -> None:
        while True:
            self.history.step()
            await asyncio.sleep(self.rng.expovariate(CHANGES_PER_S))

    async def _tell(self) -> None:
        async with asyncio.TaskGroup() as posting:
            while True:
                which = self.rng.random()
                if which < 0.01:
                    self.noted.poison += 1
                    self.broadcast.announce("v2.data_profiles.poison.PATCH", f'{{"n": {self.noted.poison}'.encode())
                elif which < 0.6:
                    self._publish_lineage()
                else:
                    posting.create_task(self._post(self._run_event()))
                await asyncio.sleep(self.rng.expovariate(EVENTS_PER_S))

    async def _look(self) -> None:
        while True:
            for replica in self.replicas:
                replica.look()
            await asyncio.sleep(5)

    def _publish_lineage(self) -> None:
        """An event in the catalog's form, by the broker."""
        event_id = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        ends = [{"id": f"day-{self.rng.randrange(500)}", "catalog_id": DAY, "type": "data_asset"} for _ in range(2)]
        details = {"event_id": event_id, "event_type": "JOB_COMPLETED", "event_time": _now()}
        body = {"event_details": details, "uses_assets": ends[:1], "generates_assets": ends[1:]}
        self.noted.published.add(event_id)
        self.broadcast.announce(f"v2.lineage_events.{event_id}.POST", body)

    def _run_event(self) -> dict[str, Any]:
        """An event of an OpenLineage producer."""
        tables = [{"namespace": "postgres://db:5432", "name": f"shop.t{self.rng.randrange(300)}"} for _ in range(2)]
        return {
            "eventTime": _now(), "eventType": "COMPLETE", "producer": "https://example.com/day",
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
            "run": {"runId": str(uuid.UUID(int=self.rng.getrandbits(128), version=4))},
            "job": {"namespace": DAY, "name": f"job{self.rng.randrange(40)}"},
            "inputs": tables[:1], "outputs": tables[1:],
        }  # fmt: skip

    async def _post(self, event: dict[str, Any]) -> None:
        """Send it to one replica after the other until one has taken it, as a client with many retries does."""
        while True:
            replica = self.rng.choice(self.replicas)
            with suppress(aiohttp.ClientError, TimeoutError):
                headers = {"Authorization": f"Bearer {_TOKEN}"}
                async with self._session.post(f"{replica.api}/api/v1/lineage", json=event, headers=headers) as answer:
                    if answer.status < 300:
                        self.noted.taken.add(event["run"]["runId"])
                        return
                    assert answer.status in (429, 503), await answer.text()
            await asyncio.sleep(1)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
