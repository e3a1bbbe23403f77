"""What telling each change to a webhook costs the service: the same events with it and without, in turn.

`python -m benchmarks.telling` starts the service anew for each run, on a private broker and PostgreSQL, and a receiver
in a process of its own, whose CPU is not counted. It is measured until the last change has arrived. The last line is
one JSON object; ratios are of medians, with the webhook ÷ without. `benchmarks.sides` leaves the broker out.
"""

from __future__ import annotations

import sys
from typing import Any

from aio_pika.abc import AbstractConnection

from benchmarks import beside, parts, runs
from benchmarks.taking import taking

EVENTS, ROUNDS = 20_000, 5
PLAIN = runs.Job("mirror_postgresql", is_service=True)
TELLING = runs.Job("mirror_postgresql", is_service=True, tells=True)


async def measure(events: int, rounds: int) -> dict[str, Any]:
    """All rounds; answers the figures."""

    async def telling(on: parts.Parts, connection: AbstractConnection, events: int) -> runs.Result:
        settings = {"CATALOG_MIRROR_TARGETS__WEBHOOK__URL": receiver}
        return await runs.run(TELLING, events, on, connection, settings=settings)

    async def plain(on: parts.Parts, connection: AbstractConnection, events: int) -> runs.Result:
        return await runs.run(PLAIN, events, on, connection)

    with taking() as receiver:
        return await beside.compared(telling, plain, events, rounds)


if __name__ == "__main__":
    sys.exit(beside.main(__doc__, measure, EVENTS, ROUNDS))
