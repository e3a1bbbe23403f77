"""What people expect of any command: its version, short help, completion, and a clear word when a package is broken."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service.cli.version import VARIABLE, version

Said = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def said(commands_path: str) -> Said:
    """What the command answers to these words, with more in its environment."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        told = {**os.environ, "PATH": commands_path, **environment}
        return subprocess.run(["catalog-mirror", *words], env=told, capture_output=True, text=True)

    return run


def test_the_version_names_revision_and_python(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0123abc")
    told = re.fullmatch(r"catalog-mirror (\S+) \(revision 0123abc, Python (\S+)\)", version())
    assert told
    assert told[2] == platform.python_version()
    done = said("--version")
    assert (done.returncode, done.stdout.strip()) == (0, version())


def test_short_help_is_help(said: Said) -> None:
    assert "--help" in said("-h").stdout
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
def test_every_shell_completes_commands(said: Said, shell: str, asked: dict[str, str]) -> None:
    done = said(**asked, _CATALOG_MIRROR_COMPLETE=f"complete_{shell}")
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
