"""Figures of all rounds, as a table for people and as one JSON object for machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, TypeVar

from rich.table import Table

from benchmarks.runs import Result

T = TypeVar("T")
Rounds = dict[str, list[Result]]

#: What is compared: contenders that ran side by side in each round.
RATIOS = (
    ("mirror_postgresql", "peer_faststream_mirror"),
    ("main_job", "peer_faststream"),
    ("mirror_postgresql", "raw_consumer"),
)
#: What stands of a job in the names of other ratios.
SHORT = {"mirror": "mirror_postgresql", "main_job": "main_job"}


def ratio(ours: Sequence[T], theirs: Sequence[T], figure: Callable[[T], float | None]) -> float | None:
    """The median over rounds of what one made of the other in the same round; None where either has no figure."""
    pairs = [(figure(a), figure(b)) for a, b in zip(ours, theirs, strict=bool(ours and theirs))]
    found = [a / b for a, b in pairs if a is not None and b]
    return round(median(found), 2) if found else None


def ratios(rounds: Rounds, before: Rounds) -> dict[str, float]:
    """All comparisons of rounds that can be made: rates, CPU, and this build with the one before."""

    def of(ours: str, theirs: str, figure: Callable[[Result], float | None], other: Rounds = rounds) -> float | None:
        return ratio(rounds.get(ours, []), other.get(theirs, []), figure)

    server = {name: of(job, job, _server_cpu_us, before) for name, job in SHORT.items()}
    found = {
        **{f"{ours}/{theirs}": of(ours, theirs, _rate) for ours, theirs in RATIOS},
        **{f"cpu_{name}/raw": of(job, "raw_consumer", _cpu_us) for name, job in SHORT.items()},
        **{f"postgresql_cpu_{name}/before": value for name, value in server.items()},
        # Of the two the one that did worse.
        "postgresql_cpu/before": max((value for value in server.values() if value is not None), default=None),
        "bytes_per_profile/before": of("mirror_postgresql", "mirror_postgresql", _profile_bytes, before),
    }
    return {name: value for name, value in found.items() if value is not None}


def _rate(result: Result) -> float:
    return result.rate


def _cpu_us(result: Result) -> float:
    return result.cpu_us


def _server_cpu_us(result: Result) -> float | None:
    return result.server_cpu_us


def _profile_bytes(result: Result) -> float | None:
    return result.profile_bytes


def _medians(rounds: Rounds, figure: Callable[[Result], float | None]) -> dict[str, int]:
    """By contender, where it has such a figure."""
    told = {name: [value for result in results if (value := figure(result)) is not None]
            for name, results in rounds.items()}  # fmt: skip
    return {name: round(median(values)) for name, values in told.items() if values}


def summary(found: Rounds, before: Rounds, settings: dict[str, Any], events: int, rounds: int) -> dict[str, Any]:
    """The JSON object that `make bench` ends with: rates in events/s, CPU in µs an event, memory in MiB."""
    past = {"before": {"events_per_s": _medians(before, _rate), **_costs(before)}} if before else {}
    return {
        **_medians(found, _rate),
        **_costs(found),
        **past,
        "ratios": ratios(found, before),
        "settings": settings,
        "events": events,
        "rounds": rounds,
    }


def _costs(rounds: Rounds) -> dict[str, Any]:
    return {
        "cpu_us_per_event": _medians(rounds, _cpu_us),
        "postgresql_cpu_us_per_event": _medians(rounds, _server_cpu_us),
        "bytes_per_profile": _medians(rounds, _profile_bytes),
        "rss_mib": {name: round(median(r.rss_mib for r in results)) for name, results in rounds.items()},
    }


def table(rounds: Rounds) -> Table:
    """The same for people."""
    shown = Table(title="Medians", title_justify="left", header_style="bold")
    for column in ("contender", "events/s", "least to most", "CPU µs/event", "peak MiB"):
        shown.add_column(column, justify="left" if column == "contender" else "right")
    for name, results in rounds.items():
        rates = [result.rate for result in results]
        shown.add_row(
            name,
            f"{median(rates):,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{median(result.cpu_us for result in results):,.0f}",
            f"{median(result.rss_mib for result in results):,.0f}",
        )
    return shown


def ratio_lines(ratios_of: dict[str, float]) -> list[str]:
    """One line for each comparison."""
    return [f"{name.replace('/', ' / ')}: {value:.2f}" for name, value in ratios_of.items()]
