"""`topology show|apply`: exchange, queue and bindings."""

from __future__ import annotations

from typing import Any

import typer

from service.amqp import topology
from service.amqp.connection import connected, user, vhost, where
from service.app import bindings_of, router_of
from service.cli.common import Json, out, print_json, quiet_settings, run_async, show_table
from service.errors import NothingToConsume
from service.settings import Settings

app = typer.Typer(help="Exchange, queue and bindings on the broker.", no_args_is_help=True)


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
def apply() -> None:
    """Declare what settings allow to be declared, and look at the rest; can be run again at any time."""
    settings = quiet_settings()
    if settings.amqp.url is None:
        raise NothingToConsume()
    found = run_async(_apply(settings))
    queue = settings.amqp.queue
    made = "was made" if found.queue_created else "is there"
    out.print(f"Queue {queue} {made}, bound to {settings.amqp.exchange}.", markup=False)
    if found.arguments_differ:
        out.print(f"Queue {queue} has other arguments than settings ask for; it stays in use as it is.", markup=False)


async def _apply(settings: Settings) -> topology.Topology:
    async with connected(settings.amqp, "topology") as connection:
        return await topology.ensure(connection, settings.amqp, bindings_of(settings))
