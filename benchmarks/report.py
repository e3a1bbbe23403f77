"""Figures of all rounds, as a table for people and as one JSON object for machines."""

from __future__ import annotations

from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.runs import Result

Rounds = dict[str, list[Result]]

#: What is compared: contenders that ran side by side in each round.
RATIOS = (
    ("mirror_postgresql", "peer_faststream_mirror"),
    ("main_job", "peer_faststream"),
    ("mirror_postgresql", "raw_consumer"),
)


def ratios(rounds: Rounds) -> dict[str, float]:
    """The median over rounds of what one made of the other in the same round."""
    found = {}
    for ours, theirs in RATIOS:
        if rounds.get(ours) and rounds.get(theirs):
            pairs = zip(rounds[ours], rounds[theirs], strict=True)
            found[f"{ours}/{theirs}"] = round(median(a.rate / b.rate for a, b in pairs), 2)
    return found


def summary(found: Rounds, settings: dict[str, Any], events: int, rounds: int) -> dict[str, Any]:
    """The JSON object that `make bench` ends with: rates in events/s, CPU in µs an event, memory in MiB."""
    return {
        **{name: round(median(result.rate for result in results)) for name, results in found.items()},
        "cpu_us_per_event": {name: round(median(r.cpu_us for r in results)) for name, results in found.items()},
        "rss_mib": {name: round(median(r.rss_mib for r in results)) for name, results in found.items()},
        "ratios": ratios(found),
        "settings": settings,
        "events": events,
        "rounds": rounds,
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


def ratio_lines(rounds: Rounds) -> list[str]:
    """One line for each comparison."""
    return [f"{name.replace('/', ' / ')}: {value:.2f}" for name, value in ratios(rounds).items()]
