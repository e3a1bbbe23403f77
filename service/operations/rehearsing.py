"""Rehearsing: recorded messages through these settings and this version, and through others, side by side.

Each side is a process of its own, as the command `replay` of its version is, with a throwaway SQLite store. Nothing is
sent, and neither broker nor catalog is asked: what would be delivered lies in the store.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import IO

from service.errors import RehearsalFailed
from service.events.recording import CUT_OFF, unpacked
from service.operations.rehearsed import Differing, compared

#: Messages from which on their cost is told.
ENOUGH = 500
#: Bytes of a recording that are looked at in one go.
_PIECE = 64 * 1024
_PREFIX = "CATALOG_MIRROR_"
#: Settings of the store, none of which may lead to the one that is in use.
_STORE, _CONFIG = f"{_PREFIX}STORE__", f"{_PREFIX}CONFIG"
#: What each side is told to do.
_REPLAY = "replay", "-", "--deliver", "--json"
#: What runs images, the first that is there; and where the folder of a rehearsal is inside of one.
ENGINES, _INSIDE = ("docker", "podman"), PurePosixPath("/rehearsal")


@dataclass(frozen=True, slots=True)
class Other:
    """What the other side is run with; what is not said is as on the present one.

    Args:
        python: the interpreter of an environment that has the other version.
        wheel: the other version, run beside the packages that are installed here.
        image: the other version as an image, by a name or digest that its engine knows.
        engine: what runs images; by itself the first of `ENGINES` that is here.
        config: its settings file.
        changes: settings by name, without the prefix.
    """

    python: Path | None = None
    wheel: Path | None = None
    image: str | None = None
    engine: str | None = None
    config: Path | None = None
    changes: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Took:
    """What one side made of the messages, as `replay --json` counts it, and microseconds of CPU per message.

    Of few messages no cost is told: starting varies by more than they take. Nor is one of an image, which is no child
    of ours.
    """

    counts: dict[str, int]
    cost_us: float | None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Both sides, and what differs."""

    present: Took
    other: Took
    differences: list[Differing]


def rehearse(files: Sequence[Path], other: Other, folder: Path) -> Rehearsal:
    """Replay the recordings on both sides in this folder, which is left with both stores; answers what differs.

    Raises:
        RehearsalFailed: a side could not be run, with the end of what it said.
    """
    folder = folder.absolute()
    present = _Side("present", _command(sys.executable), folder, _environment(folder / "present.db", {}))
    beside = _contained(other, folder) if other.image else _installed(other, folder)
    took, beside_it = present.take(files), beside.take(files)
    return Rehearsal(took, beside_it, compared(folder / "present.db", folder / "other.db"))


def _command(python: Path | str) -> list[str]:
    return [str(python), "-m", "service", *_REPLAY]


def _installed(other: Other, folder: Path) -> _Side:
    """A version that is installed on this machine, or lies in a wheel."""
    environment = _environment(folder / "other.db", other.changes or {})
    if other.config:
        environment[_CONFIG] = str(other.config.absolute())
    if other.wheel:
        environment["PYTHONPATH"] = str(_unpacked(other.wheel, folder / "other"))
    return _Side("other", _command(other.python or sys.executable), folder, environment)


def _contained(other: Other, folder: Path) -> _Side:
    """A version in an image: it sees the folder and the settings, no network, and writes nowhere else.

    Settings go by their names alone, so that no value stands on a command line (Docker's and Podman's reference of
    `run`, `--env`). Those that name files of secrets and certificates stay here: the files are not there, nor needed.
    """
    engines = [other.engine] if other.engine else ENGINES
    engine = next(filter(None, map(shutil.which, engines)), None)
    if engine is None:
        advice = "Install one, or name the wheel of that version: --wheel."
        raise RehearsalFailed(side="other", problem=f"there is no {' and no '.join(engines)} here", advice=advice)
    environment = _environment(_INSIDE / "other.db", other.changes or {})
    environment.pop(_CONFIG, None)
    if other.config:
        copy = folder / "other.yaml"
        copy.touch(0o600)
        copy.write_bytes(other.config.read_bytes())
        environment[_CONFIG] = str(_INSIDE / copy.name)
    user, group = os.getuid(), os.getgid()
    names = [name for name in sorted(environment) if name.startswith(_PREFIX) and not name.endswith("_FILE")]
    command = [
        engine, "run", "--rm", "--interactive", "--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL",
        "--security-opt=no-new-privileges", f"--user={user}:{group}", f"--volume={folder}:{_INSIDE}:Z",
        f"--workdir={_INSIDE}", *(f"--env={name}" for name in names),
    ]  # fmt: skip
    if user and Path(engine).name == "podman":  # whose users are others inside
        command.append("--userns=keep-id")
    return _Side("other", [*command, str(other.image), *_REPLAY], folder, environment, is_ours=False)


def _environment(store: PurePath, changes: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_STORE) and name != "PYTHONPATH"}
    url = f"sqlite:///{store}"
    mine = {f"{_STORE}URL": url, f"{_STORE}MIGRATION_URL": url}
    return kept | {f"{_PREFIX}{name}": value for name, value in changes.items()} | mine


def _unpacked(wheel: Path, where: Path) -> Path:
    """The wheel's packages; what they need is what is installed here."""
    command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps", "--no-index"]
    done = subprocess.run([*command, "--target", str(where), str(wheel)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RehearsalFailed(side="other", problem=_end(done.stderr), advice="Name a wheel of Catalog Mirror.")
    return where


@dataclass(frozen=True, slots=True)
class _Side:
    name: str
    command: Sequence[str]
    folder: Path
    environment: dict[str, str]
    #: What it takes is counted as that of our children.
    is_ours: bool = True

    def take(self, files: Sequence[Path]) -> Took:
        """Replay all files; the cost is without that of a start, and of making the store, which is made before then."""
        are_enough = self.is_ours and _are_enough(files)
        if are_enough:
            self._replay([])
        counts, whole_s = self._replay(files)
        if not are_enough or counts["read"] < ENOUGH:  # fewer where lines are empty
            return Took(counts, None)
        _, start_s = self._replay([])
        return Took(counts, round(max(0.0, whole_s - start_s) / counts["read"] * 1e6, 1))

    def _replay(self, files: Sequence[Path]) -> tuple[dict[str, int], float]:
        """What the command counted, and its seconds of CPU."""
        before = _children_s()
        said, failed = (self.folder / f"{self.name}.{end}" for end in ("json", "log"))
        with said.open("wb") as out, failed.open("wb") as err:
            try:
                process = subprocess.Popen(
                    self.command, cwd=self.folder, env=self.environment, stdin=subprocess.PIPE, stdout=out, stderr=err
                )
            except OSError as error:
                raise self._failed(f"{self.command[0]}: {error.strerror}") from None
            assert process.stdin is not None
            try:
                for file in files:
                    _feed(file, process.stdin)
                process.stdin.close()
            except BrokenPipeError:
                pass  # it has ended, and says why
            finally:
                process.wait()
        if process.returncode:
            raise self._failed(_end(failed.read_text("utf-8", "replace")) or f"exit code {process.returncode}")
        return json.loads(said.read_text("utf-8").splitlines()[-1]), _children_s() - before

    def _failed(self, problem: str) -> RehearsalFailed:
        advice = (
            "Try `catalog-mirror replay` with what that side has; with --keep all that it said stays in the folder."
        )
        return RehearsalFailed(side=self.name, problem=problem, advice=advice)


def _are_enough(files: Sequence[Path]) -> bool:
    """Whether there are as many lines as it takes to tell what one costs."""
    lines = len(files)  # each of which is ended by us
    for file in files:
        with file.open("rb") as raw, suppress(*CUT_OFF):
            stream = unpacked(raw, file.name)
            while lines < ENOUGH and (piece := stream.read(_PIECE)):
                lines += piece.count(b"\n")
    return lines >= ENOUGH


def _feed(file: Path, stream: IO[bytes]) -> None:
    """All of a recording, and a line end; of one that was cut off what is there, and a line that says so."""
    with file.open("rb") as raw:
        try:
            shutil.copyfileobj(unpacked(raw, file.name), stream)
            stream.write(b"\n")
        except CUT_OFF as error:
            stream.write(f"\n{file.name} ends here: {error}\n".encode("utf-8", "replace"))


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _end(text: str) -> str:
    return " ".join(text.strip().splitlines()[-3:])[-600:]
