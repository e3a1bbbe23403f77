"""`python -m benchmarks`: what `make bench` runs. `python -m benchmarks drivers` compares database drivers."""

from __future__ import annotations

import argparse
import asyncio
import sys

from benchmarks import columns, documents, drivers, ingest, lineage, parts, pentaho, reading, runs, throughput, usage
from benchmarks.errors import BenchFailed
from sandbox.parts.errors import PartFailed, PartMissing

#: Events of one run: a few seconds of the service on two cores.
EVENTS = 9000
ROUNDS = 5
#: Assets of the catalog that is read.
ASSETS = 20_000


def main() -> int:
    """Measure; answers the exit code."""
    chosen = _arguments()
    try:
        with parts.provided(chosen.amqp_url, chosen.postgres_url) as on:
            if chosen.what == "drivers":
                asyncio.run(drivers.measure(on, chosen.rounds))
            else:
                asyncio.run(throughput.measure(chosen.only, chosen.events, chosen.assets, chosen.rounds, on))
    except (BenchFailed, PartMissing, PartFailed) as error:
        throughput.console.print(f"Error: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _arguments() -> argparse.Namespace:
    names = [
        *(job.name for job in runs.JOBS),
        *reading.FIGURES,
        lineage.NAME,
        columns.NAME,
        ingest.NAME,
        usage.NAME,
        pentaho.NAME,
    ]
    names.append(documents.NAME)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure throughput.")
    parser.add_argument("what", nargs="?", choices=["throughput", "drivers"], default="throughput")
    parser.add_argument("--events", type=int, default=EVENTS, help=f"events of one run (default {EVENTS})")
    parser.add_argument("--assets", type=int, default=ASSETS, help=f"assets of the catalog read (default {ASSETS})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds (default {ROUNDS})")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="some contenders alone")
    parser.add_argument("--amqp-url", help="a broker instead of a private one; an empty vhost, for this alone")
    parser.add_argument("--postgres-url", help="a server instead of a private one; a role that may make databases")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
