"""The builds that are measured: this one, and where a commit is named, the one before, from a worktree of that commit.

A build runs whole, its own `benchmarks` included. Its folder comes first on the path, and carries metadata of its own
so that its entry points count, not those of what is installed; every process looks at that before it begins.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchFailed

ROOT = Path(__file__).parents[1]
#: What every process of a build begins with: its packages and its entry points are those of its folder, or it ends.
_BEGIN = """
import runpy, sys, tomllib
from importlib import import_module, metadata
from pathlib import Path
root, module = Path(sys.argv[1]), sys.argv[2]
sys.path.insert(0, str(root))
for name in ("service", "handlers", "catalog_mirror", "benchmarks"):
    found = Path(import_module(name).__file__)
    if not found.is_relative_to(root):
        sys.exit(f"{name} is that of {found}, not of {root}")
project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
for group, wanted in project["entry-points"].items():
    found = {e.name: e.value for e in metadata.entry_points(group=group) if e.dist.name == project["name"]}
    if found != wanted:
        sys.exit(f"the entry points {group} are not those of {root}")
del sys.argv[1:3]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
#: What tells which packages a build needs.
_LOCK = "requirements-dev.txt"


@dataclass(frozen=True, slots=True)
class Build:
    """Code that can be measured."""

    name: str
    root: Path
    python: Path

    def command(self, module: str, *words: str) -> list[str]:
        """How to run one of its modules, in its folder or elsewhere."""
        return [str(self.python), "-c", _BEGIN, str(self.root), module, *words]


#: The build that this process is of.
PRESENT = Build("present", ROOT, Path(sys.executable))


@contextmanager
def before(commit: str) -> Iterator[Build]:
    """The build of a commit, in a folder of its own for as long as it is needed.

    Its packages are those of this process where its lock is the same; else they are installed beside it, which takes
    a minute or two.

    Raises:
        BenchFailed: there is no such commit, or its packages cannot be installed.
    """
    with tempfile.TemporaryDirectory(prefix="cm-bench-before-") as directory:
        root = Path(directory).resolve() / "tree"
        _run("git", "-C", str(ROOT), "worktree", "add", "--quiet", "--detach", str(root), commit)
        try:
            _write_metadata(root)
            yield Build("before", root, _python(root, Path(directory) / "venv"))
        finally:
            _run("git", "-C", str(ROOT), "worktree", "remove", "--force", str(root))


def _write_metadata(root: Path) -> None:
    """What installing would write, as far as entry points need it (PyPA, "Core metadata" and "Entry points")."""
    told: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    folder = root / f"{told['name'].replace('-', '_')}-{told['version']}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: {told['version']}\n")
    groups = (
        "\n".join([f"[{group}]", *(f"{name} = {place}" for name, place in entries.items())])
        for group, entries in told["entry-points"].items()
    )
    (folder / "entry_points.txt").write_text("\n\n".join(groups) + "\n", encoding="utf-8")


def _python(root: Path, venv: Path) -> Path:
    if (root / _LOCK).read_bytes() == (ROOT / _LOCK).read_bytes():
        return Path(sys.executable)
    _run(sys.executable, "-m", "venv", str(venv))
    python = venv / "bin" / "python"
    pip = (str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps", "--require-hashes")
    _run(*pip, "-r", str(root / _LOCK))
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(f"`{' '.join(command[:4])} …` failed: {done.stderr.strip()}")
