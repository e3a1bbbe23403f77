"""Cyclic garbage: looked for seldom while a batch is at work, and every few seconds whatever has come together.

Libraries leave a few cycles with each call and each statement: Tenacity's attempts hold what was answered, statements
of SQLAlchemy the values they ask for. Of a batch's objects, none of which is in a cycle, there are a thousand times as
many.
"""

from __future__ import annotations

import asyncio
import gc

#: Container objects that may come into being before cyclic garbage is looked for: two batches of parsed events.
THRESHOLD = 100_000
#: Seconds between two looks among what came into being since the last one.
ROUND_S = 5.0
#: What has survived one look already is looked at once more, with what is new.
_YOUNG = 1


def spare_the_garbage_collector() -> None:
    """Have it look less often by itself, and never among what is there for good.

    A batch is some ten thousand objects without any cycle, which die when it is committed; by default they are looked
    through dozens of times before that (a sixth of the service's CPU, docs/benchmarks.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(THRESHOLD, 20, 20)


async def collecting() -> None:
    """Collect what is young every few seconds, until cancelled.

    Left to the threshold alone, a reading of a large catalog came upon a look after 200,000 things, and held 35 MiB
    more by then (docs/benchmarks.md).
    """
    while True:
        await asyncio.sleep(ROUND_S)
        gc.collect(_YOUNG)
