"""`demo`: the whole story against the sandbox, in a minute, checked at the end."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import aio_pika
import sqlalchemy as sa
import typer
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from sandbox import story
from sandbox.parts.errors import PartFailed, PartMissing
from sandbox.parts.process import off_loop
from sandbox.parts.providers import provide_broker
from service.changes import Origin
from service.cli import demo_answers, demo_reading, demo_usage
from service.cli.common import opened_store, out, run_async, show_table
from service.cli.drawing import Drawing
from service.cli.stories import Stage, Story, changes, collibra, contract, readers, rehearsal
from service.errors import MirrorError, UsageError
from service.events.message import Message
from service.mirror.lineage.graph import graph
from service.mirror.lineage.walk import Direction
from service.mirror.store import Store
from service.operations.replaying import replaying_pipeline
from service.process.app import Service
from service.settings.model import (
    AmqpSettings,
    CatalogSettings,
    HttpSettings,
    LogSettings,
    PipelineSettings,
    RelaySettings,
    RetentionSettings,
    RoutesSettings,
    Settings,
    StoreSettings,
)
from service.telemetry.logs import configure_logging

#: The demo never touches the catalog's own exchange, also on a broker that is given.
EXCHANGE = "catalog-mirror-demo"
#: Seconds between two steps, so that a person can follow.
STEP_S = 0.25
#: Seconds that the story may take to arrive before the demo says that it failed.
PATIENCE_S = 40.0
#: Stories that are told by themselves.
STORIES: dict[str, Story] = {
    "changes": changes.tell, "collibra": collibra.tell, "contract": contract.tell,
    "readers": readers.tell, "rehearsal": rehearsal.tell,
}  # fmt: skip
_AGES_S = 100 * 365 * 86400


class DemoFailed(MirrorError):
    """The demo did not end as it should: {problem}."""

    remedy = "Please report this with the lines above."


def demo(
    broker: Annotated[str | None, typer.Option(help="Use this broker (amqp://…) instead of a private one.")] = None,
    no_broker: Annotated[bool, typer.Option("--no-broker", help="Replay the story without any broker.")] = False,
    alone: Annotated[
        str | None, typer.Option("--story", help=f"Tell another one alone, in seconds: {', '.join(STORIES)}.")
    ] = None,
) -> None:
    """Watch events go through a real RabbitMQ into a mirror and come back as lineage; checks the result.

    Starts a private broker of its own (or in Docker), and leaves an SQLite mirror to look around in.
    """
    configure_logging(
        LogSettings(level="critical", format="console")
    )  # what goes wrong on purpose is told by the story
    path = Path(tempfile.mkdtemp(prefix="catalog-mirror-demo-")) / "mirror.db"
    started = time.monotonic()
    if alone is None:
        run_async(_demo(path, broker, no_broker))
        run_async(_read_a_catalog(path.with_name("catalog.db")))
    else:
        run_async(_alone(alone, path))
    out.print(f"\nAll of it was checked; that took {time.monotonic() - started:.0f} s.\n")
    if alone is None:
        _where_next(path)


async def _alone(name: str, path: Path) -> None:
    if name not in STORIES:
        raise UsageError(problem=f"there is no story {name!r}", advice=f"There are {', '.join(STORIES)}.")
    tokens = path.with_name("tokens.yaml")  # a service without broker and catalog runs for those who post to it
    tokens.touch(0o600)
    tokens.write_text(f"story: {{token: {uuid4().hex}, scopes: [read]}}\n")
    settings = _settings(path, None)
    settings = settings.model_copy(update={"http": settings.http.model_copy(update={"tokens_file": tokens})})
    await STORIES[name](Stage(settings, path.parent, _running, lambda problem: DemoFailed(problem=problem)))


async def _demo(path: Path, broker: str | None, no_broker: bool) -> None:
    if no_broker:
        await _without_broker(path)
    elif broker:
        await _with_broker(path, broker)
    else:
        try:
            out.print("Starting a private RabbitMQ (about ten seconds) …")
            async with off_loop(provide_broker()) as private:
                await _with_broker(path, private.url)
        except (PartMissing, PartFailed) as error:
            out.print(f"There is no broker to be had: {error}\n", markup=False)
            out.print("The same story without one, as a recording that is replayed:")
            await _without_broker(path)


async def _read_a_catalog(path: Path) -> None:
    await demo_reading.tell(_settings(path, None), path, _running, lambda problem: DemoFailed(problem=problem))
    await demo_usage.tell(_settings(path, None), lambda problem: DemoFailed(problem=problem))
    await demo_answers.tell(_settings(path, None), lambda problem: DemoFailed(problem=problem))


def _settings(path: Path, url: str | None) -> Settings:
    """Settings of the demo's own, whatever the environment says."""
    secret = SecretStr(url) if url else None
    queue = f"catalog-mirror-demo-{uuid4().hex[:8]}"
    return Settings(
        amqp=AmqpSettings(url=secret, exchange=EXCHANGE, queue=queue, declare_exchange=True),
        store=StoreSettings(url=SecretStr(f"sqlite:///{path}")),
        catalog=CatalogSettings(),
        routes=RoutesSettings(),
        pipeline=PipelineSettings(),
        relay=RelaySettings(),
        retention=RetentionSettings(lineage_s=_AGES_S, profiles_s=_AGES_S, history_s=_AGES_S),  # nothing ages
        targets={},
        http=HttpSettings(host="127.0.0.1", port=0, api_port=0),
        log=LogSettings(level="error"),
    )


async def _with_broker(path: Path, url: str) -> None:
    settings = _settings(path, url)
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        sink = await channel.declare_queue(exclusive=True, auto_delete=True)
        await sink.bind(exchange, "v2.lineage_events.*.MIRROR")
        async with _running(settings) as service:
            came_back: set[str] = set()
            await sink.consume(lambda message: _show_answer(message, came_back), no_ack=True)
            out.print("The service consumes. The catalog says (→), and lineage comes back (←):\n")
            for step in [*story.STEPS, story.REPEATED_STEP]:
                _show_step(step)
                await exchange.publish(aio_pika.Message(step.body), step.routing_key)
                await asyncio.sleep(STEP_S)
            await _all_arrived(service.store, came_back)
            await _tell(service.store, came_back)
        await channel.queue_delete(settings.amqp.queue)
        await channel.exchange_delete(EXCHANGE)


@asynccontextmanager
async def _running(settings: Settings) -> AsyncIterator[Service]:
    service = Service(settings)
    task = asyncio.create_task(service.run())
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not service.health().started:
            if task.done() or time.monotonic() > deadline:
                raise DemoFailed(problem="; ".join(service.health().reasons) or "the service did not start")
            await asyncio.sleep(0.05)
        yield service
    finally:
        service.stop()
        await task


def _show_step(step: story.Step) -> None:
    out.print(f"  → {step.routing_key:<55} {step.shows}", markup=False, soft_wrap=True)


async def _show_answer(message: Any, came_back: set[str]) -> None:
    event = json.loads(message.body)
    used = ", ".join(asset["id"] for asset in event["uses_assets"])
    details = event["event_details"]
    out.print(f"  ← {details['event_type']} of {used} at {details['event_time']}", style="green", markup=False)
    came_back.add(details["event_id"])


async def _all_arrived(store: Store, came_back: set[str]) -> None:
    """Wait until everything that should have arrived has."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if not await problems(store) and len(came_back) == story.EXPECTED["own_lineage_events"]:
            return
        await asyncio.sleep(0.1)
    found = await problems(store) or [f"{len(came_back)} lineage events came back"]
    raise DemoFailed(problem="; ".join(found))


async def _without_broker(path: Path) -> None:
    settings = _settings(path, None)
    async with opened_store(settings, migrate=True) as store:
        pipeline = await replaying_pipeline(settings, store, deliver=True)
        for step in [*story.STEPS, story.REPEATED_STEP]:
            _show_step(step)
            await pipeline.process([Message(step.routing_key, step.body)], Origin.REPLAY)
        found = await problems(store)
        if found:
            raise DemoFailed(problem="; ".join(found))
        await _tell(store, None)


async def problems(store: Store) -> list[str]:
    """What the mirror holds otherwise than the story says; empty when all is well."""
    expected = story.EXPECTED
    queries = {
        "profiles": "SELECT profile_id, status FROM v1_data_profiles",
        "assets": "SELECT asset_id FROM v1_assets",
        "deleted_assets": "SELECT asset_id FROM assets WHERE deleted_at IS NOT NULL",
        "enrichment_areas": "SELECT area_id FROM v1_enrichment_areas",
        "foreign_lineage_events": "SELECT event_id FROM v1_lineage_events WHERE NOT is_own",
        "own_lineage_events": "SELECT count(*) FROM v1_lineage_events WHERE is_own",
        "emptier": "SELECT column_name FROM v1_profile_drift WHERE change = 'nulls' AND is_crossed",
        "before": "SELECT status FROM v1_data_profiles_history WHERE profile_id = 'profile-1' AND valid_to IS NOT NULL",
        "hidden": "SELECT DISTINCT min_text FROM v1_profile_columns WHERE min_text IS NOT NULL",
        "dead_letters": "SELECT count(*) FROM dead_letters WHERE state = 'open'",
    }
    wrong = []
    async with store.read() as connection:
        for name, query in queries.items():
            rows = [tuple(row) for row in await connection.execute(sa.text(query))]
            found = _shaped(rows, expected[name])
            if found != expected[name]:
                wrong.append(f"{name}: {found} instead of {expected[name]}")
    secret = story.SECRET.encode()
    files = [file for file in store.path.parent.iterdir() if secret in file.read_bytes()] if store.path else []
    return wrong + [f"a secret is in {file}" for file in files]


def _shaped(rows: list[tuple[Any, ...]], like: object) -> object:
    if isinstance(like, dict):
        return dict(rows)
    return {row[0] for row in rows} if isinstance(like, set) else rows[0][0]


async def _tell(store: Store, came_back: set[str] | None) -> None:
    """The mirrored rows, and the lineage tree."""
    async with store.read() as connection:
        profiles = "SELECT profile_id, asset_id, container_id, status, column_count, changed_at FROM v1_data_profiles"
        columns = ("profile", "data set", "container", "status", "columns", "changed")
        found = await connection.execute(sa.text(profiles + " ORDER BY profile_id"))
        rows = [(*row[:-1], str(row.changed_at)[:19].replace("T", " ")) for row in found]
        out.print()
        show_table("v1_data_profiles: what analysts query", columns, rows, "")
        await _tell_of_history(connection)
        await _tell_of_columns(connection)
        out.print("\nLineage of `customers`, from the catalog's events and our answers:")
        around = await graph(connection, story.CUSTOMERS, 4)
        out.print(Drawing(around).tree(4, (Direction.BACKWARD, Direction.FORWARD)))
    if came_back is not None:
        out.print(f"\n{len(came_back)} lineage events came back over the broker, each confirmed.")


async def _tell_of_history(connection: AsyncConnection) -> None:
    """What a profile was, and when, the state that came late in its place."""
    history = "SELECT profile_id, status, valid_from, valid_to FROM v1_data_profiles_history ORDER BY 1, 3"
    found = await connection.execute(sa.text(history))
    rows = [(*row[:2], *(str(moment or "")[:19].replace("T", " ") for moment in row[2:])) for row in found]
    out.print()
    show_table("v1_data_profiles_history: what was, and when", ("profile", "status", "from", "to"), rows, "")


async def _tell_of_columns(connection: AsyncConnection) -> None:
    """What became emptier from one run of profiling to the next."""
    drift = "SELECT asset_id, column_name, before_number, after_number FROM v1_profile_drift WHERE change = 'nulls'"
    found = await connection.execute(sa.text(drift))
    rows = [(row[0], row[1], f"{row[2]:.1%}", f"{row[3]:.1%}") for row in found]
    out.print()
    columns = ("data set", "column", "without a value", "a day later")
    show_table("v1_profile_drift: what changed since the run before", columns, rows, "")


def _where_next(path: Path) -> None:
    store = f"CATALOG_MIRROR_STORE__URL=sqlite:///{path}"
    program = "catalog-mirror" if shutil.which("catalog-mirror") else os.path.relpath(sys.argv[0])
    out.print("Where to look next:")
    for command, why in (
        ("status", "what is mirrored and what waits"),
        ("dead-letters list", "the body that was cut off, with its reason"),
        ("lineage orders", "the graph from the other end"),
        ("explain customers", "why its row is as it is, and what happened to it"),
        ('as-of 2026-05-10T15:06:00Z "SELECT profile_id, status FROM v1_data_profiles"', "what was at that moment"),
    ):
        out.print(f"  {store} {program} {command}    # {why}", markup=False, soft_wrap=True)
    store = store.replace("mirror.db", "catalog.db")
    out.print(f"  {store} {program} status    # the whole catalog, as it was read", markup=False, soft_wrap=True)
    out.print("  docs/getting-started.md connects it to your catalog.", markup=False)
