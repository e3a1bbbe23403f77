"""`topology show|apply`: exchange, queue and bindings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from service.amqp import queues, topology
from service.amqp.connection import connected, user, vhost, where
from service.amqp.management import bindings_of as bound_with
from service.amqp.migration import Migration
from service.cli.common import Json, err, opened_store, out, print_json, quiet_settings, run_async, show_table, who
from service.errors import NothingToConsume
from service.mirror import audit, controls
from service.mirror.store import Store
from service.mirror.turns import turn
from service.pipeline.building import bindings_of, router_of
from service.settings.model import AmqpSettings, Settings

app = typer.Typer(help="Exchange, queue and bindings on the broker.", no_args_is_help=True)
#: How the pause of a migration is told from a person's, and what the audit log calls it.
_MIGRATION = "topology.migrate"


@app.command("show")
def show(as_json: Json = False) -> None:
    """Show what the service needs on the broker, and which handler takes which topic; asks no broker."""
    settings = quiet_settings()
    needed = _needed(settings)
    if as_json:
        print_json(needed)
        return
    facts = [(name, value) for name, value in needed.items() if name not in ("routes", "bindings")]
    show_table("Needed", ("what", "value"), facts, "")
    rows = [(r["pattern"], r["handler"], r["evidence"], "yes" if r["bound"] else "no") for r in needed["routes"]]
    show_table("Routes", ("pattern", "handler", "evidence", "bound"), rows, "No route is active.")


def _needed(settings: Settings) -> dict[str, Any]:
    bindings = bindings_of(settings)
    return {
        "broker": where(settings.amqp),
        "vhost": vhost(settings.amqp),
        "user": user(settings.amqp),
        "exchange": settings.amqp.exchange,
        "declare_exchange": settings.amqp.declare_exchange,
        "queue": settings.amqp.queue,
        "queues": list(queues.names(settings.amqp)),
        "declare_queue": settings.amqp.declare_queue,
        "queue_arguments": topology.queue_arguments(settings.amqp),
        "bindings": bindings,
        "routes": [
            {
                "pattern": route.pattern.text,
                "handler": route.handler.name if route.handler else "ignore",
                "evidence": route.evidence or "setting",
                "bound": route.pattern.text in bindings,
            }
            for route in router_of(settings).routes
        ],
    }


@app.command("apply")
def apply(
    migrate: Annotated[
        bool,
        typer.Option(
            "--migrate",
            help="Make queues with other arguments than settings ask for anew, delete those too many; without loss.",
        ),
    ] = False,
) -> None:
    """Declare what settings allow to be declared, and look at the rest; can be run again at any time.

    Bindings that former settings named are removed. A queue's arguments cannot be changed: `--migrate` pauses
    consuming, empties the queue into a second one that is bound meanwhile, makes it anew, and brings everything back.
    Of queues that former settings named it waits until the service has emptied them, and deletes them.
    """
    settings = quiet_settings()
    if settings.amqp.url is None:
        raise NothingToConsume()
    found, former = run_async(_apply(settings))
    for name in queues.names(settings.amqp):
        made = "was made" if name in found.created else "is there"
        out.print(f"Queue {name} {made}, bound to {settings.amqp.exchange}.", markup=False)
    for exchange, pattern in former.bindings:
        out.print(f"Not bound to {exchange} with {pattern} any more.", markup=False)
    if migrate:
        for queue in queues.names(settings.amqp):
            out.print(_told(run_async(_migrate(settings, queue)), queue), markup=False)
        for queue in former.queues:
            run_async(_give_up(settings, queue))
            out.print(f"Queue {queue} was empty and is deleted.", markup=False)
        return
    if found.arguments_match is False:
        out.print(
            f"Queue {settings.amqp.queue} has other arguments than settings ask for; it stays in use as it is. "
            "`catalog-mirror topology apply --migrate` moves it.",
            markup=False,
        )
    for queue in former.queues:
        out.print(
            f"Queue {queue} is one too many: it gets no more events, and the service empties it. "
            "`catalog-mirror topology apply --migrate` then deletes it.",
            markup=False,
        )


def _told(moved: int | None, queue: str) -> str:
    if moved is None:
        return f"Queue {queue} has the arguments that settings ask for; nothing was moved."
    return (
        f"Queue {queue} was made anew with the arguments that settings ask for; {moved} messages were moved for that."
    )


async def _apply(settings: Settings) -> tuple[topology.Topology, topology.Former]:
    patterns = bindings_of(settings)
    async with connected(settings.amqp, "topology") as connection, opened_store(settings, migrate=True) as store:
        async with turn(store):
            found = await topology.ensure(connection, settings.amqp, patterns)
            former = await _former(store, settings.amqp, patterns)
            await topology.leave(connection, settings.amqp, patterns, former)
        return found, former


async def _former(store: Store, amqp: AmqpSettings, patterns: Sequence[str]) -> topology.Former:
    async with store.write() as connection:
        known = controls.known_queues(await controls.read_controls(connection))
        await controls.set_queues(connection, queues.names(amqp))
        bindings = await controls.remember_bindings(connection, queues.holder(amqp), amqp.exchange, patterns)
        return topology.Former(bindings, queues.former(amqp, known))


async def _give_up(settings: Settings, queue: str) -> None:
    """Delete a queue of former settings once it is empty."""
    with _progress(f"waiting for the service to empty {queue}"):
        async with connected(settings.amqp, "topology") as connection, opened_store(settings, migrate=True) as store:
            move, is_gone = Migration(connection, settings.amqp, queue), False
            while not is_gone:
                await move.until_drained()
                await _pause(store)
                try:
                    is_gone = await move.delete_if_empty()
                finally:
                    await _resume(store)
            async with store.write() as writing:
                await controls.forget_queue(writing, queue)


@contextmanager
def _progress(first: str) -> Iterator[Callable[[str], None]]:
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task(first)
        yield lambda now: bar.update(task, description=now)


async def _migrate(settings: Settings, queue: str) -> int | None:
    amqp, patterns = settings.amqp, bindings_of(settings)
    bindings = [(amqp.exchange, pattern) for pattern in patterns]
    if amqp.queues > 1:
        bindings = [(queues.spreader(amqp), queues.WEIGHT)]
    with _progress(f"emptying {queue}") as show:

        def told(moved: int | None) -> None:
            waiting = "waiting for the service to take what the new queue has no room for"
            show(waiting if moved is None else f"{moved} messages moved")

        async with connected(amqp, "topology") as connection, opened_store(settings, migrate=True) as store:
            move = Migration(connection, amqp, queue, told)
            if not await move.is_needed():
                return None
            bound = sorted({*bindings, *(await bound_with(amqp, queue) or ())})
            await move.shelter(bindings)
            await _pause(store)
            await move.empty_into_shelter(bound)
            await move.make_anew(patterns)
            await _resume(store)
            return await move.empty_shelter(bindings)


async def _pause(store: Store) -> None:
    """Have every replica let go of the queue, unless a person had them do so already."""
    async with store.write() as connection:
        if controls.PAUSE not in await controls.read_controls(connection):
            reason = "`topology apply --migrate` is under way; where it was interrupted, run it again"
            await controls.set_control(connection, controls.PAUSE, {"reason": reason, "by": _MIGRATION})
            await audit.record(connection, who(), _MIGRATION, "every replica", reason)


async def _resume(store: Store) -> None:
    async with store.write() as connection:
        known = await controls.read_controls(connection)
        if controls.PAUSE in known and known[controls.PAUSE][0].get("by") == _MIGRATION:
            await controls.clear_control(connection, controls.PAUSE)
