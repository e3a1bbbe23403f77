"""Environments of the software that stands beside the mirror: each from a lock of its own, none of it in ours.

`requirements/NAME.in` says what is wanted, `requirements/NAME.txt` what is installed, with hashes (`make lock`). An
environment lies in `.neighbours/NAME` and is made anew when its lock, or the interpreter, changes.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKS = Path(__file__).parent / "requirements"
PLACE = ROOT / ".neighbours"
#: Seconds that one command of a neighbour may take.
PATIENCE_S = 300.0
_TAIL = 6000


class EnvironmentMissing(Exception):
    """An environment could not be made; the text says which, and what pip said."""


class Environment:
    """Installed software of others; runs its programs and tells its versions."""

    def __init__(self, place: Path) -> None:
        self.bin = place / "bin"

    def version(self, package: str) -> str:
        """The version of an installed package, as its own metadata has it."""
        asked = f"import importlib.metadata as m; print(m.version({package!r}))"
        return subprocess.run(
            [self.bin / "python", "-c", asked], check=True, capture_output=True, text=True
        ).stdout.strip()

    def variables(self, more: Mapping[str, str] = {}) -> dict[str, str]:
        """This machine's environment without settings of ours, of pytest or of other environments of Python."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CATALOG_MIRROR_", "PYTEST", "PYTHON", "VIRTUAL_ENV", "OPENLINEAGE"))
        }
        return {**kept, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", **more}

    async def run(
        self,
        program: str,
        *arguments: str | Path,
        cwd: Path,
        expect: int | None = 0,
        variables: Mapping[str, str] = {},
    ) -> str:
        """What a program of it prints, both streams together.

        Raises:
            AssertionError: it ended otherwise than `expect` (None: as it likes), with the end of what it said.
        """
        process = await asyncio.create_subprocess_exec(
            self.bin / program,
            *arguments,
            cwd=cwd,
            env=self.variables(variables),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        except (TimeoutError, asyncio.CancelledError):
            process.kill()
            await process.wait()
            raise
        output = said.decode(errors="replace")
        assert expect is None or process.returncode == expect, (
            f"{program} ended {process.returncode}:\n{output[-_TAIL:]}"
        )
        return output


def environment(name: str) -> Environment:
    """The environment of this name, as its lock has it.

    Raises:
        EnvironmentMissing: pip could not make it.
    """
    lock = LOCKS / f"{name}.txt"
    place = PLACE / name
    wanted = f"{sys.version}\n{hashlib.sha256(lock.read_bytes()).hexdigest()}\n"
    with _alone(name):
        stamp = place / ".installed"
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
            _make(name, place, lock)
            stamp.write_text(wanted, encoding="utf-8")
    return Environment(place)


def _make(name: str, place: Path, lock: Path) -> None:
    """The lock is complete, so pip has nothing to resolve."""
    shutil.rmtree(place, ignore_errors=True)
    venv.create(place, with_pip=True)
    done = subprocess.run(
        [place / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-deps", "--require-hashes", "--requirement", lock],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        told = (done.stdout + done.stderr)[-_TAIL:]
        raise EnvironmentMissing(f"The environment {name!r} could not be made from {lock.relative_to(ROOT)}:\n{told}")


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """One process makes an environment, others wait for it."""
    PLACE.mkdir(exist_ok=True)
    with (PLACE / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
