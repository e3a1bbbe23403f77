"""A small bench from end to end: everything that the last line promises is in it, of this build and the one before."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NoReturn

import pytest

from benchmarks import builds, catchup, growth, latency, parts, startup, throughput
from sandbox.parts.errors import PartMissing
from sandbox.parts.process import off_loop

CHOSEN = ["raw_consumer", "mirror_postgresql", "main_job", "catalog_snapshot"]
RATIOS = {
    "mirror_postgresql/raw_consumer", "cpu_mirror/raw", "cpu_main_job/raw", "postgresql_cpu/before",
    "postgresql_cpu_mirror/before", "postgresql_cpu_main_job/before", "bytes_per_profile/before",
    "snapshot_cards/before", "latency_p99/floor_200", "latency_p99/floor_half", "growth_wall", "growth_postgresql_cpu",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_the_last_line_has_every_figure(
    amqp_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    do_without: Callable[[Exception], NoReturn],
) -> None:  # fmt: skip
    if not (builds.ROOT / ".git").exists():
        pytest.skip("this is no clone, so there is no build before")
    small: dict[Any, dict[str, Any]] = {
        latency: {"SLOW": 20.0, "SECONDS": 1.0, "WARM_UP_S": 0.5},
        startup: {"IDLE_S": 1.0},
        growth: {"SMALL": 1000, "SEEDLINGS": 1000, "BATCH": 100, "BATCHES": 4, "WARM_UP": 1},
    }
    for module, values in small.items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)
    chosen = [*CHOSEN, latency.NAME, catchup.NAME, startup.NAME, growth.NAME]
    with ExitStack() as stack:
        before = stack.enter_context(builds.before("HEAD"))
        try:
            async with off_loop(parts.provided(amqp_url, None)) as on:
                plan = throughput.Plan(chosen, events=300, assets=100, rounds=1, waiting=600, rows=3000, against=before)
                await throughput.measure(plan, on)
        except PartMissing as missing:
            do_without(missing)
    line: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(line["ratios"]) == RATIOS
    assert all(value > 0 for value in line["ratios"].values()), line["ratios"]
    assert line["bytes_per_profile"]["mirror_postgresql"] > 1000
    assert line["postgresql_cpu_us_per_event"]["main_job"] > line["postgresql_cpu_us_per_event"]["mirror_postgresql"]
    assert line["before"]["events_per_s"].keys() == {"mirror_postgresql", "main_job"}
    assert line["catchup_rss_mib"] > 50
    assert 0 < line["first_event_s"] < 30
    assert 0 <= line["idle_cpu_percent"] < 100
    assert set(line["growth"]) == {"1000", "3000"}
