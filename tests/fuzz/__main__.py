"""Runs made inputs against every way in: `make fuzz RUNS=100000 ARGS="bodies settings"`.

What was found to reach new code stays in `.fuzz`, and the next run goes on from there. A fault is one file there, and
the way to see it again.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import engine, harness

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".fuzz"
#: Characters of what a fault said that are shown.
_TAIL = 3000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one entry."""

    name: str
    runs: int
    took_s: float
    #: Its trace, and where its input lies.
    fault: str | None


def campaign(names: Sequence[str], runs: int, folder: Path, jobs: int) -> list[Outcome]:
    """Run so many inputs, shared evenly among the entries, so many entries at a time."""
    each = -(-runs // len(names))
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda name: _run(name, each, folder / name), names))


def _run(name: str, runs: int, folder: Path) -> Outcome:
    command = [sys.executable, "-m", "tests.fuzz.engine", name, str(runs), str(folder)]
    folder.mkdir(parents=True, exist_ok=True)
    before, began = set(folder.glob("fault-*")), time.monotonic()
    with (folder / "log").open("w+") as log:
        code = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=False).returncode
        log.seek(0)
        said = log.read()
    told = re.findall(rf"{engine.TOLD}\s*(\d+)", said)
    inputs = sorted(set(folder.glob("fault-*")) - before)
    fault = "\n".join([said[-_TAIL:], *(f"python -m tests.fuzz {name} --input {path}" for path in inputs)])
    return Outcome(name, int(told[-1]) if told else 0, time.monotonic() - began, fault if code else None)


def _again(name: str, path: Path) -> int:
    """One input once more, with its whole trace and what it costs."""
    one, raw = harness.entry(name), path.read_bytes()
    with harness.Meter() as meter:
        used = harness.judge(one, raw)
    print(f"{'used' if used else 'refused'}: {meter.calls:,} calls, {meter.memory:,} bytes of memory")
    return 0


def main() -> int:
    """Run what was typed; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Run made inputs against every way in.")
    parser.add_argument("names", nargs="*", metavar="ENTRY", help=f"one of {', '.join(harness.NAMES)}; else all")
    parser.add_argument("--runs", type=int, default=100_000, help="inputs, all entries together")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="entries at a time")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where what was found stays")
    parser.add_argument("--input", type=Path, help="run this input of one entry alone")
    chosen = parser.parse_args()
    names = chosen.names or harness.NAMES
    if unknown := sorted(set(names) - set(harness.NAMES)):
        parser.error(f"there is no entry {unknown[0]!r}")
    if chosen.input:
        return _again(names[0], chosen.input)
    print("guided by coverage (atheris)" if engine.HAS_ATHERIS else "not guided: atheris is not installed")
    outcomes = campaign(names, chosen.runs, chosen.folder.absolute(), chosen.jobs)
    for one in outcomes:
        print(
            f"{one.name:12} {one.runs:>12,} runs {one.runs / one.took_s:>8,.0f}/s  {'FAULT' if one.fault else 'fine'}"
        )
    print(f"{sum(one.runs for one in outcomes):,} runs")
    for one in outcomes:
        if one.fault:
            print(f"\n{one.name}:\n{one.fault}", file=sys.stderr)
    return 1 if any(one.fault for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
