"""What people expect of any command: its version, short help, completion, and a clear word when a package is broken."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli.version import VARIABLE, version


def said(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", *words]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)


def test_the_version_names_revision_and_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0123abc")
    told = re.fullmatch(r"catalog-mirror (\S+) \(revision 0123abc, Python (\S+)\)", version())
    assert told
    assert told[2] == platform.python_version()
    done = said("--version")
    assert (done.returncode, done.stdout.strip()) == (0, version())


def test_short_help_is_help() -> None:
    assert said("-h").stdout == said("--help").stdout
    assert said("targets", "list", "-h").stdout == said("targets", "list", "--help").stdout


@pytest.mark.parametrize(
    ("shell", "asked"),
    [
        ("bash", {"COMP_WORDS": "catalog-mirror dead", "COMP_CWORD": "1"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "catalog-mirror dead"}),
        ("fish", {"_TYPER_COMPLETE_ARGS": "catalog-mirror dead", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_every_shell_completes_commands(shell: str, asked: dict[str, str]) -> None:
    program = Path(sys.executable).with_name("catalog-mirror")
    environment = {**os.environ, **asked, "_CATALOG_MIRROR_COMPLETE": f"complete_{shell}"}
    done = subprocess.run([program], env=environment, capture_output=True, text=True)
    assert "dead-letters" in done.stdout
    assert not any(name in re.findall(r"[\w-]+", done.stdout) for name in ("status", "snapshot", "links", "doctor"))


def test_a_folder_that_stands_before_our_handlers_is_told_of(tmp_path: Path) -> None:
    """As happens where somebody calls a folder of their own `handlers` and puts its parent on PYTHONPATH."""
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers/__init__.py").touch()
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "500"}
    program = Path(sys.executable).with_name("catalog-mirror")
    done = subprocess.run([program, "topology", "show"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "rename it or take it off the path" in done.stderr
