"""In how much memory, and how many calls, large reference data sets are read: `python -m benchmarks.values`.

Two sets of so many values each, and for comparison two small ones, each into an empty mirror by a process of its own.
It prints one JSON line for each.
"""

from __future__ import annotations

import argparse
import asyncio
import json

from benchmarks import parts, reading

#: Values of each of the two sets that the pocket catalog has, and of those that memory is compared with.
VALUES, FEW = 100_000, 30
SETS = 2


async def measure(on: parts.Parts, values: int) -> dict[str, int]:
    """What reading artifacts and values took.

    Raises:
        BenchFailed: a pass went wrong, or did not read all of them.
    """
    database = await asyncio.to_thread(on.new_database)
    async with reading.pocket_catalog(0, values=values) as url, reading.reader(url, database, "values") as process:
        took = await reading.pass_of(process, "values", "reference_value", SETS * values, database)
    return {
        "values": took.assets, "values_per_s": round(took.rate), "cpu_us_per_value": round(took.cpu_us),
        "rss_mib": round(took.rss_mib), "calls": took.calls, "least_calls": took.least_calls,
    }  # fmt: skip


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.values", description="Read reference data sets.")
    parser.add_argument("--values", type=int, default=VALUES, help=f"values of each set (default {VALUES})")
    chosen = parser.parse_args()
    with parts.provided(None, None) as on:
        for values in (FEW, chosen.values):
            print(json.dumps(asyncio.run(measure(on, values))), flush=True)


if __name__ == "__main__":
    main()
