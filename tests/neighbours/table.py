"""The table at the end of `make neighbours`: who, in which version, at what, with which outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

MARK, NEIGHBOUR, TRIED, VERSION = "neighbour", "neighbour", "tried", "version"
_HEAD = ("neighbour", "version", "tried", "outcome")
#: What a report's outcome is called, the worst last.
_OUTCOMES = {"passed": "ok", "skipped": "skipped", "failed": "FAILED"}


def printed(reports: Iterable[Any]) -> list[str]:
    """Its lines, of pytest's reports of any phase; of one test the worst counts. Nothing where nobody was tried."""
    rows: dict[str, tuple[str, ...]] = {}
    for report in reports:
        told = dict(getattr(report, "user_properties", ()))
        if NEIGHBOUR not in told or (report.when != "call" and report.outcome == "passed"):
            continue
        outcome = _OUTCOMES[report.outcome]
        if _rank(outcome) >= _rank(rows.get(report.nodeid, ("ok",))[-1]):
            rows[report.nodeid] = (told[NEIGHBOUR], told.get(VERSION, "?"), told[TRIED], outcome)
    return _aligned([_HEAD, *sorted(rows.values())]) if rows else []


def _rank(outcome: str) -> int:
    return list(_OUTCOMES.values()).index(outcome)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
