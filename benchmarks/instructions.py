"""Counts the instructions that one event costs in decoding and in committing: `make instructions`.

A count does not depend on what else the machine does, so a loss of some per cent shows without a stopwatch. Callgrind,
a tool of Valgrind, counts what our process executes in user space; PostgreSQL is real and runs outside of it. What a
count depends on is the interpreter and how it was built, and the libraries: `instructions.json` has one entry for each
interpreter that somebody counted with, and says with which libraries.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import inprocess
from benchmarks.counted import EVENTS, PARTS
from benchmarks.errors import BenchFailed
from sandbox import tools
from sandbox.parts.errors import PartFailed, PartMissing
from sandbox.parts.postgres import PrivatePostgres

#: The figures that are committed, by interpreter.
FIGURES = Path(__file__).with_name("instructions.json")
#: More than this times the committed figure fails.
BOUND = 1.1
#: Less than this times the committed figure is worth committing, so that the bound stays near.
STALE = 0.95
#: Seconds that counting may take; twenty or so on a quiet machine.
TIMEOUT_S = 300.0
#: Whose version stands beside the figures.
_LIBRARIES = ("ahocorasick_rs", "asyncpg", "msgspec", "pydantic-core", "SQLAlchemy")
_LOG_TAIL_BYTES = 3000

Counts = dict[str, int]


def main() -> int:
    """Count, and hold the counts against the committed ones; answers the exit code."""
    chosen = arguments()
    try:
        counts = count(chosen.keep)
    except (tools.ToolMissing, PartMissing) as missing:
        return tools.left_out(missing)
    except (BenchFailed, PartFailed) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    if chosen.write:
        write(FIGURES, counts)
    lines, fine = judged(FIGURES, counts)
    print("\n".join(lines))
    return 0 if fine else 1


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What was typed, or is given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description="Count instructions.")
    parser.add_argument("--write", action="store_true", help="take the counts as the committed figures")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave Callgrind's files there, one for each part")
    return parser.parse_args(words)


def count(keep: Path | None = None) -> Counts:
    """Instructions per event of each part.

    Raises:
        ToolMissing: there is no Valgrind.
        PartMissing: there is no PostgreSQL.
        BenchFailed: the process under Valgrind failed.
    """
    valgrind = tools.find("valgrind")
    with TemporaryDirectory(prefix="cm-instructions-") as directory, PrivatePostgres() as server:
        url = server.create_database("instructions")
        asyncio.run(inprocess.migrate(url))
        folder = keep or Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        out = folder.absolute() / "callgrind.out"
        _run(valgrind, out, url)
        return {part: _total(Path(f"{out}.{place}")) // EVENTS for place, part in enumerate(PARTS, 1)}


def _run(valgrind: Path, out: Path, url: str) -> None:
    """The parts under Callgrind. Hashes of texts are the same every time, so that sets and dicts are."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CATALOG_MIRROR_")}
    command = [
        str(valgrind), "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}",
        sys.executable, "-m", "benchmarks.counted", url,
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, env=kept | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"Counting took more than {TIMEOUT_S:g} s.") from None
    if done.returncode:
        raise BenchFailed(f"Counting failed. Its log ends with:\n{done.stderr[-_LOG_TAIL_BYTES:]}")


def _total(dump: Path) -> int:
    """The instructions of one dump."""
    found = re.search(r"^totals: (\d+)", dump.read_text(encoding="utf-8"), re.M)
    if found is None or not int(found[1]):
        raise BenchFailed(f"{dump.name} has no count.")
    return int(found[1])


def interpreter() -> str:
    """The interpreter as far as a count depends on it."""
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}, "
        f"{platform.system()} {platform.machine()}"
    )


def libraries() -> dict[str, str]:
    """The libraries that do most of the work, with their versions."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def write(figures: Path, counts: Counts) -> None:
    """Take the counts as those of this interpreter."""
    known: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8")) if figures.exists() else {}
    known[interpreter()] = {**counts, "libraries": libraries()}
    figures.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def judged(figures: Path, counts: Counts) -> tuple[list[str], bool]:
    """What there is to say of the counts, and whether none is beyond its bound."""
    known = json.loads(figures.read_text(encoding="utf-8")).get(interpreter())
    lines = [f"instructions per event: {', '.join(f'{part} {number:,}' for part, number in counts.items())}"]
    if known is None:
        note = "no figures of it are committed, so nothing was judged. `make instructions ARGS=--write` commits these."
        return [*lines, f"Note: {interpreter()}: {note}"], True
    ratios = {part: number / known[part] for part, number in counts.items()}
    lines += [f"  {part}: {ratio:.3f} of the committed {known[part]:,}" for part, ratio in ratios.items()]
    changed = [f"{name} {known['libraries'].get(name)} → {now}" for name, now in libraries().items()
               if known["libraries"].get(name) != now]  # fmt: skip
    if changed:
        lines.append(f"  libraries have changed since: {', '.join(changed)}")
    beyond = [part for part, ratio in ratios.items() if ratio > BOUND]
    if beyond:
        lines.append(
            f"Error: {', '.join(beyond)}: more than {BOUND - 1:.0%} above what is committed. Where that is meant, "
            "`make instructions ARGS=--write` commits the new figures."
        )
    elif min(ratios.values()) < STALE:
        lines.append("Note: it has become cheaper: `make instructions ARGS=--write` keeps the bound near.")
    return lines, not beyond


if __name__ == "__main__":
    sys.exit(main())
