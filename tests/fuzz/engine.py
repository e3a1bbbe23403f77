"""One entry, run a number of times in a process of its own: `python -m tests.fuzz.engine NAME RUNS FOLDER`.

With atheris (libFuzzer) where it is installed: what reaches new code is kept, and built upon in this run and the next.
Without it inputs are made of the corpus alone. Either way it ends at the first fault, with a trace, and the input that
did it lies in the folder as `fault-…`.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
import sys
from collections.abc import Callable
from pathlib import Path

HAS_ATHERIS = importlib.util.find_spec("atheris") is not None
#: How libFuzzer tells how many inputs there were, and so do we without it.
TOLD = "stat::number_of_executed_units:"
#: One input in so many is counted (`harness.judge_cost`), which takes three times as long.
COUNTED_EVERY = 32
#: Seconds after which an input counts as one that never ends, and megabytes that the process may take; both are far
#: beyond what the counts allow, and catch what does not come back to be counted.
PATIENCE_S, MEMORY_MB = 120, 2048


def main() -> None:
    """Run what the command line says."""
    name, runs, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    (folder / "found").mkdir(parents=True, exist_ok=True)
    (_guided if HAS_ATHERIS else _blind)(name, runs, folder)


def _guided(name: str, runs: int, folder: Path) -> None:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["service", "handlers"]):
        judge = _judge(name)
    from tests.fuzz import harness, mutating

    kept = list(harness.seeds(name).values())

    def mutate(raw: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.2:
            return bytes(atheris.Mutate(raw, most))
        return mutating.mutated(raw, chance.choice(kept), chance, most)

    command = [
        name, f"-runs={runs}", f"-max_len={harness.MAX_BYTES}", f"-timeout={PATIENCE_S}", f"-rss_limit_mb={MEMORY_MB}",
        f"-report_slow_units={PATIENCE_S}", f"-artifact_prefix={folder}/fault-", "-print_final_stats=1",
        str(folder / "found"), str(harness.CORPUS / name),
    ]  # fmt: skip
    atheris.Setup(command, judge, custom_mutator=mutate)
    atheris.Fuzz()


def _blind(name: str, runs: int, folder: Path) -> None:
    from tests.fuzz import harness, mutating

    judge, kept, chance = _judge(name), list(harness.seeds(name).values()), random.Random()
    for _ in range(runs):
        raw = mutating.mutated(chance.choice(kept), chance.choice(kept), chance, harness.MAX_BYTES)
        try:
            judge(raw)
        except harness.Fault:
            (folder / f"fault-{chance.getrandbits(64):x}").write_bytes(raw)
            raise
    print(TOLD, runs)


def _judge(name: str) -> Callable[[bytes], None]:
    """What judges an input of the entry; a letter that is not foreseen is a fault, so nobody reads of it in a log."""
    import structlog

    from tests.fuzz import harness

    one, number = harness.entry(name), 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))

    def judge(raw: bytes) -> None:
        nonlocal number
        number += 1
        (harness.judge if number % COUNTED_EVERY else harness.judge_cost)(one, raw)

    return judge


if __name__ == "__main__":
    main()
