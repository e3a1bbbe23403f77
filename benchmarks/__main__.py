"""`python -m benchmarks`: what `make bench` runs. `python -m benchmarks drivers` compares database drivers."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from benchmarks import (
    builds,
    catchup,
    columns,
    documents,
    drivers,
    growth,
    ingest,
    latency,
    lineage,
    parts,
    pentaho,
    reading,
    runs,
    startup,
    throughput,
    usage,
)
from benchmarks.errors import BenchFailed
from sandbox.parts.errors import PartFailed, PartMissing

#: Events of one run: a few seconds of the service on two cores.
EVENTS = 9000
ROUNDS = 3
#: Assets of the catalog that is read.
ASSETS = 10_000


def main() -> int:
    """Measure; answers the exit code."""
    chosen = arguments()
    try:
        with parts.provided(chosen.amqp_url, chosen.postgres_url) as on, _against(chosen.against) as before:
            if chosen.what == "drivers":
                asyncio.run(drivers.measure(on, chosen.rounds))
            else:
                plan = throughput.Plan(
                    chosen.only, chosen.events, chosen.assets, chosen.rounds, chosen.waiting, chosen.rows, before
                )
                asyncio.run(throughput.measure(plan, on))
    except (BenchFailed, PartMissing, PartFailed) as error:
        throughput.console.print(f"Error: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _against(commit: str | None) -> AbstractContextManager[builds.Build | None]:
    return builds.before(commit) if commit else nullcontext()


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What was typed, or is given."""
    figures = (latency, catchup, startup, growth, lineage, columns, ingest, usage, pentaho, documents)
    names = [*(job.name for job in runs.JOBS), *reading.FIGURES, *(figure.NAME for figure in figures)]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure throughput.")
    parser.add_argument("what", nargs="?", choices=["throughput", "drivers"], default="throughput")
    parser.add_argument("--events", type=int, default=EVENTS, help=f"events of one run (default {EVENTS})")
    parser.add_argument("--assets", type=int, default=ASSETS, help=f"assets of the catalog read (default {ASSETS})")
    parser.add_argument(
        "--waiting", type=int, default=catchup.EVENTS, help=f"events to catch up with (default {catchup.EVENTS})"
    )
    parser.add_argument(
        "--rows", type=int, default=growth.LARGE, help=f"rows of the large mirror (default {growth.LARGE})"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds (default {ROUNDS})")
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=f"some alone: {', '.join(names)}"
    )
    parser.add_argument("--against", metavar="COMMIT", help="run the build of that commit beside this one")
    parser.add_argument("--amqp-url", help="a broker instead of a private one; an empty vhost, for this alone")
    parser.add_argument("--postgres-url", help="a server instead of a private one; a role that may make databases")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
