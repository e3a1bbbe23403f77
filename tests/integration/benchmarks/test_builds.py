"""The build before runs from its own worktree, and a process of it that would run other code ends."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import builds
from benchmarks.errors import BenchFailed

_PROBE = "import service, handlers\nprint(service.__file__)\nprint(handlers.__file__)\n"


@pytest.fixture
def build() -> Iterator[builds.Build]:
    """The build of the last commit."""
    if not (builds.ROOT / ".git").exists():
        pytest.skip("this is no clone, so there is no build before")
    with builds.before("HEAD") as before:
        (before.root / "benchmarks/probe.py").write_text(_PROBE)
        yield before


def _run(build: builds.Build, folder: Path) -> subprocess.CompletedProcess[str]:
    command = build.command("benchmarks.probe")
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("folder", [builds.ROOT, Path("/")], ids=["in ours", "elsewhere"])
def test_its_code_is_that_of_its_worktree(build: builds.Build, folder: Path) -> None:
    done = _run(build, folder)
    assert done.returncode == 0, done.stderr
    assert [Path(line).parent.parent for line in done.stdout.split()] == [build.root, build.root]


def test_a_process_that_would_run_other_code_ends(build: builds.Build) -> None:
    (build.root / "handlers").rename(build.root / "elsewhere")
    done = _run(build, builds.ROOT)
    assert done.returncode == 1
    assert f"handlers is that of {builds.ROOT}" in done.stderr


def test_a_process_with_other_entry_points_ends(build: builds.Build) -> None:
    page = build.root / "pyproject.toml"
    page.write_text(page.read_text().replace('search_feed = "handlers.search_feed"', ""))
    done = _run(build, builds.ROOT)
    assert done.returncode == 1
    assert "the entry points catalog_mirror.handlers are not those of" in done.stderr


def test_the_worktree_is_gone_afterwards(build: builds.Build) -> None:
    with builds.before("HEAD") as other:
        assert (other.root / "service").is_dir()
    assert not other.root.exists()
    listed = subprocess.run(["git", "worktree", "list"], cwd=builds.ROOT, capture_output=True, text=True, check=True)
    assert str(other.root) not in listed.stdout


def test_a_commit_that_is_not_there_is_told() -> None:
    with pytest.raises(BenchFailed, match="no-such-commit"), builds.before("no-such-commit"):
        pass
