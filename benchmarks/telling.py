"""What telling each change to a webhook costs the service: the same events with it and without, in turn.

`python -m benchmarks.telling` starts the service anew for each run, on a private broker and PostgreSQL, and a receiver
in a process of its own, whose CPU is not counted. It is measured until the last change has arrived. The last line is
one JSON object; ratios are of medians, with the webhook ÷ without. `benchmarks.sides` leaves the broker out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from functools import partial
from typing import Any

from benchmarks import broker, parts, runs
from benchmarks.taking import taking

EVENTS, ROUNDS = 20_000, 5
PLAIN = runs.Job("mirror_postgresql", is_service=True)
TELLING = runs.Job("mirror_postgresql", is_service=True, tells=True)


async def measure(events: int, rounds: int) -> dict[str, Any]:
    """All rounds; answers the figures."""
    with parts.provided(None, None) as on, taking() as receiver:
        settings = {"CATALOG_MIRROR_TARGETS__WEBHOOK__URL": receiver}
        async with broker.connected(on.amqp_url) as connection:
            telling, plain = await runs.in_turn(
                rounds,
                partial(runs.run, TELLING, events, on, connection, settings=settings),
                partial(runs.run, PLAIN, events, on, connection),
            )
            await broker.clean(connection)
    told = {"events": events, "rounds": rounds, "load": round(os.getloadavg()[0], 2)}
    return told | runs.beside(telling, plain)


def main() -> int:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()
    print(json.dumps(asyncio.run(measure(chosen.events, chosen.rounds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
