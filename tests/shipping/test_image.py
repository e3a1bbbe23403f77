"""The image, as far as it can be tried without an engine: its own steps, run on this machine as somebody else."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.parts import dockerfile
from sandbox.parts.mirror import MirrorProcess

ROOT = Path(__file__).parents[2]
STAGES = {stage.name: stage for stage in dockerfile.read(ROOT / "Dockerfile")}
LAST = STAGES[""]
#: A user that exists nowhere, as OpenShift makes them up.
SOMEBODY = 1_000_760_000


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that any user may walk through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="catalog-mirror-image-"))
    path.chmod(0o755)
    yield path
    for directory in (path, *(found for found in path.rglob("*") if found.is_dir() and not found.is_symlink())):
        directory.chmod(0o755)
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def installed(place: Path) -> Path:
    """The prefix that the Dockerfile's own steps make out of the locked requirements, then made read-only."""
    browser, wheels, installed = STAGES["browser"], STAGES["wheels"], STAGES["installed"]
    source, console = place / "src", place / "console"
    source.mkdir()
    console.mkdir()
    for name in browser.copied:
        shutil.copy(ROOT / name, console)
    for name in wheels.copied:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=_what_docker_ignores)
        else:
            shutil.copy(ROOT / name, source / name)
    (place / "bin").mkdir()
    (place / "bin" / "python").symlink_to(_python_for_everybody())
    environment = {
        **os.environ,
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "CONSOLE": str(console),
        "SRC": str(source),
        "WHEELS": str(place / "wheels"),
        "BUILD": str(place / "build"),
        "PREFIX": str(place / "opt"),
    }
    _take(browser.commands, environment, console)
    shutil.copytree(console / "node_modules", source / "service/http/console/node_modules")
    _take([*wheels.commands, *installed.commands], environment, source)
    for path in [place / "opt", *(place / "opt").rglob("*")]:
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    return place / "opt"


#: Of .dockerignore, what lies below the folders that are copied.
_what_docker_ignores = shutil.ignore_patterns("node_modules", "vendor", "__pycache__")


def _take(commands: list[str], environment: dict[str, str], where: Path) -> None:
    for command in commands:
        done = subprocess.run(["sh", "-euc", command], env=environment, cwd=where, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def _python_for_everybody() -> Path:
    """A Python that other users may run too: root's own, such as pyenv's, lies below a closed directory."""
    ours = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    for python in (ours, *(Path("/usr/bin") / f"python3.{minor}" for minor in (13, 12, 11))):
        if _makes_environments(python) and (os.geteuid() or all(p.stat().st_mode & 0o001 for p in python.parents)):
            return python
    problem = "there is no Python with venv that another user may run: apt-get install python3-venv"
    if os.environ.get("CI"):
        pytest.fail(problem, pytrace=False)
    pytest.skip(problem)


def _makes_environments(python: Path) -> bool:
    return python.exists() and subprocess.run([python, "-c", "import ensurepip, venv"], check=False).returncode == 0


def test_only_the_locked_requirements_and_this_project_are_installed(installed: Path) -> None:
    locked = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "requirements-image.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith(" ")
    }
    found = {
        path.name.rsplit("-", 1)[0].removesuffix(".dist-info").rsplit("-", 1)[0].lower().replace("_", "-")
        for path in installed.glob("lib/python*/site-packages/*.dist-info")
    }
    assert "catalog-mirror" in found
    assert found - {"catalog-mirror"} <= locked
    assert {"pip", "setuptools", "wheel", "hatchling"} & found == set(), "nothing that builds or installs"


async def test_it_runs_as_a_random_user_of_group_0_with_the_tree_read_only(
    installed: Path, place: Path, catalog: Any, profile_event: Callable[..., tuple[str, bytes]], amqp_url: str,
    rows_of: Callable[..., Any],
) -> None:  # fmt: skip
    user = SOMEBODY if os.geteuid() == 0 else None
    data = place / "data"
    data.mkdir()
    if user:
        os.chown(data, 10001, 0)
    data.chmod(0o2775)  # as the Dockerfile makes it
    url = f"sqlite:///{data / 'mirror.db'}"
    service = MirrorProcess(
        data / "service.log", command=[installed / "bin" / "catalog-mirror", "run"], user=user,
        AMQP__URL=amqp_url, STORE__URL=url,
    )  # fmt: skip
    before = _tree(installed)
    async with service:
        await service.wait_ready()
        await catalog.publish([profile_event(1)])
        await rows_of(url).until("SELECT count(*) FROM data_profiles", 1)
        assert await service.terminate() == 0
    assert _tree(installed) == before
    if user:
        assert (data / "mirror.db").stat().st_uid == user


def _tree(path: Path) -> set[tuple[str, int]]:
    return {(str(found), found.lstat().st_mtime_ns) for found in path.rglob("*")}


def test_the_last_stage_holds_nothing_that_builds_and_is_not_root() -> None:
    assert LAST.all("USER") == ["10001:0"], "numbers: Kubernetes cannot tell that a name is not root"
    commands = " ".join(LAST.commands)
    assert "pip uninstall" in commands
    assert "apt-get" not in commands
    assert LAST.all("COPY") == ["--from=installed /opt/catalog-mirror /opt/catalog-mirror"]
    assert LAST.all("ENTRYPOINT") == ['["catalog-mirror"]']
    assert "service.process.healthcheck" in LAST.all("HEALTHCHECK")[0]
    assert "org.opencontainers.image.version" in LAST.all("LABEL")[0]


def test_what_the_console_loads_is_inside(installed: Path) -> None:
    (vendor,) = installed.glob("lib/python*/site-packages/service/http/console/vendor")
    found = {str(path.relative_to(vendor)) for path in vendor.rglob("*.js")}
    assert {"htmx.org/htmx.min.js", "cytoscape/cytoscape.min.js", "uplot/uPlot.iife.min.js"} <= found
    assert not list(installed.rglob("node_modules")), "what is not shipped stays out"


def test_every_base_is_a_pinned_argument() -> None:
    assert {stage.image for stage in STAGES.values()} == {"${PYTHON_IMAGE}", "${NODE_IMAGE}", "scratch"}
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^ARG PYTHON_IMAGE=docker\.io/library/python:3\.[\w.-]+@sha256:[0-9a-f]{64}$", text, re.M)
    assert re.search(r"^ARG NODE_IMAGE=docker\.io/library/node:[\w.-]+@sha256:[0-9a-f]{64}$", text, re.M)
    assert ":latest" not in text
    assert STAGES["wheelhouse"].all("COPY") == ["--from=wheels /wheels /"]


def test_what_the_image_copies_is_let_through_by_dockerignore() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line[1:].rstrip("/") for line in ignore if line.startswith("!")}
    assert set(STAGES["wheels"].copied) == let_through


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_locked_requirement_has_a_wheel_for_the_python_of_the_image(machine: str) -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    version = re.findall(r"^ARG PYTHON_IMAGE=.*python:(3\.\d+)\.", text, re.M)[0]
    kinds = [f"manylinux_2_28_{machine}", f"manylinux2014_{machine}", f"manylinux_2_17_{machine}", "any"]
    abis = [f"cp{version.replace('.', '')}", "abi3", "none"]
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--target", "nowhere",
            "--no-deps", "--require-hashes", "--only-binary", ":all:", "--python-version", version,
            "--implementation", "cp", *(word for abi in abis for word in ("--abi", abi)),
            *(word for kind in kinds for word in ("--platform", kind)), "--requirement",
            ROOT / "requirements-image.txt",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
