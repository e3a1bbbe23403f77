"""Reads a catalog in a process of its own: `python -m benchmarks.reader PASS…`, told where by the service's settings.

After each pass it tells on stdout, as a JSON line, what it took. Its parts are those of the service.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from benchmarks.stopwatch import peak_rss_mib
from service.kinds import KINDS
from service.mirror import schema
from service.mirror.progress import RECONCILE, SNAPSHOT
from service.mirror.store import Store
from service.pipeline.building import pipeline_of
from service.process.garbage import collecting, spare_the_garbage_collector
from service.settings.model import Settings
from service.sync.director import director_of
from service.sync.findings import Options
from service.telemetry.logs import configure_logging
from service.telemetry.metrics import Metrics

#: What is left out of the passes that only read cards by search; a pass of all leaves out what takes calls per asset.
_NOT_CARDS = [name for name in KINDS if name != "asset"]
_PER_ASSET = ["asset_statistic"]
_NOT_ARTIFACTS = [name for name in KINDS if name != "artifact"]
_NOT_VALUES = [name for name in KINDS if name not in ("artifact", "reference_value")]
#: Mode and kinds that are left out, by name of the pass.
PASSES = {
    "snapshot_cards": (SNAPSHOT, _NOT_CARDS),
    "reconcile_cards": (RECONCILE, _NOT_CARDS),
    "snapshot": (SNAPSHOT, _PER_ASSET),
    "reconcile": (RECONCILE, _PER_ASSET),
    "glossary": (SNAPSHOT, _NOT_ARTIFACTS),
    "values": (SNAPSHOT, _NOT_VALUES),
}


async def read(passes: list[str]) -> None:
    """Carry out these passes, one after the other, on one store."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # logging is not to mix with our lines
    settings = Settings()
    configure_logging(settings.log)
    await schema.migrate(settings.store)
    store = Store(settings.store)
    spare_the_garbage_collector()
    garbage = asyncio.create_task(collecting())
    try:
        for name in passes:
            print(json.dumps({"pass": name, **await _carry_out(settings, store, name)}), file=out, flush=True)
    finally:
        garbage.cancel()
        await store.close()


async def _carry_out(settings: Settings, store: Store, name: str) -> dict[str, Any]:
    mode, skip = PASSES[name]
    chosen = settings.model_copy(update={"sync": settings.sync.model_copy(update={"skip": skip})})
    metrics = Metrics()
    pipeline = pipeline_of(chosen, store, metrics)
    director = director_of(chosen, store, pipeline, metrics, "bench")
    async with director.client:
        began_s, cpu_s = time.monotonic(), time.process_time()
        run = await director.runner.begin(mode, "bench", Options(deletions=mode == RECONCILE))
        report = await director.runner.carry_out(run)
        return {
            "seconds": time.monotonic() - began_s,
            "cpu_s": time.process_time() - cpu_s,
            "kinds": report.kinds,
            "problems": report.problems,
            "calls": _calls(metrics),
            "rss_mib": peak_rss_mib(),
        }


def _calls(metrics: Metrics) -> dict[str, int]:
    """Calls by endpoint, those that failed too."""
    found: dict[str, int] = {}
    for family in metrics.catalog_calls.collect():
        for sample in family.samples:
            if sample.name.endswith("_total"):
                endpoint = sample.labels["endpoint"]
                found[endpoint] = found.get(endpoint, 0) + int(sample.value)
    return found


if __name__ == "__main__":
    asyncio.run(read(sys.argv[1:]))
