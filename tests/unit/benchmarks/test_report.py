"""The comparisons of the last line: medians of what was measured side by side, and none where one side is missing."""

import pytest

from benchmarks import report
from benchmarks.runs import Result


def result(
    rate: float = 1000.0, cpu_us: float = 100.0, server_us: float | None = None, size: float | None = None
) -> Result:
    server_s = None if server_us is None else server_us / 1000
    return Result(1000, 1000 / rate, cpu_us / 1000, 100.0, server_s, size)


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    ours = [result(rate) for rate in (100, 300, 800)]
    theirs = [result(rate) for rate in (100, 100, 100)]
    assert report.ratio(ours, theirs, lambda one: one.rate) == 3


def test_rounds_of_unlike_number_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="zip"):
        report.ratio([result()], [result(), result()], lambda one: one.rate)


def test_of_the_two_jobs_the_one_that_did_worse_counts_for_the_server() -> None:
    rounds = {"mirror_postgresql": [result(server_us=30)], "main_job": [result(server_us=50)]}
    before = {"mirror_postgresql": [result(server_us=60)], "main_job": [result(server_us=55)]}
    found = report.ratios(rounds, before)
    assert found["postgresql_cpu_mirror/before"] == 0.5
    assert found["postgresql_cpu_main_job/before"] == 0.91
    assert found["postgresql_cpu/before"] == 0.91


def test_cpu_and_bytes_are_compared() -> None:
    rounds = {
        "raw_consumer": [result(cpu_us=50)],
        "mirror_postgresql": [result(cpu_us=100, size=700)],
        "main_job": [result(cpu_us=150)],
    }
    found = report.ratios(rounds, {"mirror_postgresql": [result(size=1000)]})
    assert found["cpu_mirror/raw"] == 2
    assert found["cpu_main_job/raw"] == 3
    assert found["bytes_per_profile/before"] == 0.7


def test_what_was_not_measured_is_not_compared() -> None:
    assert report.ratios({"main_job": [result()]}, {}) == {}
    assert "before" not in report.summary({"main_job": [result()]}, {}, {}, 1000, 1)
