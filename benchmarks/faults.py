"""What the fault tests counted, as the table of docs/guarantees.md: `make faults`."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

_HEAD = (
    "| fault | times | events sent | lost | rows wrong | lineage lost | lineage repeated | publishers refused "
    "| at work again, median | worst |"
)
_SUMS = ("faults", "sent", "lost", "wrong", "lineage_lost", "lineage_repeated", "refused")


def table(lines: list[dict[str, Any]]) -> str:
    """Markdown: one row for each fault, and one for all of them."""
    rows = [_HEAD, "| --- " * _HEAD.count(" |") + "|"]
    by_fault: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_fault.setdefault(line["fault"], []).append(line)
    rows += [_row(fault, counted) for fault, counted in sorted(by_fault.items())]
    return "\n".join([*rows, _row("**all**", lines)])


def _row(fault: str, lines: list[dict[str, Any]]) -> str:
    sums = [sum(line[name] for line in lines) for name in _SUMS]
    seconds = [second for line in lines for second in line["resumed_s"]] or [0.0]
    times = [f"{statistics.median(seconds):.1f} s", f"{max(seconds):.1f} s"]
    return f"| {fault} | {' | '.join(f'{number:,}' for number in sums)} | {' | '.join(times)} |"


def main() -> None:
    """Print the table of the file that is named."""
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    print(table([json.loads(line) for line in text.splitlines()]))


if __name__ == "__main__":
    main()
