"""What is released can be built again byte for byte, says what it is made of, and is signed by one job alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from sandbox import bases, sbom

ROOT = Path(__file__).parents[2]
BUILT_OF = (
    "pyproject.toml",
    "hatch_build.py",
    "README.md",
    "LICENSE",
    "catalog_mirror",
    "service",
    "handlers",
    "sandbox",
)
AT = datetime(2026, 11, 30, tzinfo=UTC)


def build(source: Path, umask: int, touched: int, **environment: str) -> Path:
    """The wheel of a copy of the sources, whose files are that old, for somebody with this umask and environment."""
    for name in BUILT_OF:
        if (ROOT / name).is_dir():
            left_out = shutil.ignore_patterns("node_modules", "__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=left_out)
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    for path in source.rglob("*"):
        path.chmod((0o777 if path.is_dir() or os.access(path, os.X_OK) else 0o666) & ~umask)
        os.utime(path, (touched, touched))
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "built"]
    told = {**os.environ, "SOURCE_DATE_EPOCH": str(int(AT.timestamp())), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run(command, cwd=source, env=told, umask=umask, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (source / "built").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("one") / "here", 0o022, 1_000_000_000, PYTHONHASHSEED="1", TZ="UTC")


def test_the_wheel_is_the_same_wherever_and_whenever_it_is_built(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "somewhere else"
    other = build(place, 0o077, 1_700_000_000, PYTHONHASHSEED="77", TZ="Asia/Kathmandu", LC_ALL="C")
    assert other.name == wheel.name
    assert other.read_bytes() == wheel.read_bytes()


def test_the_sbom_names_all_that_the_wheel_needs_and_carries_with_licence_and_hash(wheel: Path) -> None:
    told = json.loads(sbom.sbom(wheel, AT))
    parts = {part["purl"]: part for part in told["components"]}
    locked = {line.split(" ")[0] for line in (ROOT / "requirements-image.txt").read_text().splitlines() if "==" in line}
    carried = json.loads((ROOT / "service/http/console/package.json").read_text(encoding="utf-8"))
    assert len(parts) == len(locked) + len(carried["shipped"])
    for name in carried["shipped"]:
        version = carried["dependencies"][name]
        part = parts[f"pkg:npm/{name}@{version}"]
        assert part["hashes"][0]["alg"] == "SHA-512"
        assert part["licenses"]
    hashes = [one["hashes"] for part in parts.values() for one in part.get("externalReferences", ())]
    assert len(hashes) == len(locked)
    assert all(hashes)
    for name in (part["name"] for part in parts.values() if not part.get("licenses")):
        with pytest.raises(metadata.PackageNotFoundError):  # only another system needs it
            metadata.version(name)
    itself = told["metadata"]["component"]
    assert itself["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}]
    (needs,) = (one["dependsOn"] for one in told["dependencies"] if one["ref"] == itself["bom-ref"])
    assert len(needs) == len(parts)


def test_the_same_wheel_has_the_same_sbom_which_is_cyclonedx(wheel: Path) -> None:
    text = sbom.sbom(wheel, AT)
    assert text == sbom.sbom(wheel, AT)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


RELEASE: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))


def test_one_job_alone_may_sign_and_it_runs_nothing_of_ours() -> None:
    workflows = [yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")]
    signing = [name for flow in workflows for name, job in flow["jobs"].items() if "id-token" in job["permissions"]]
    assert signing == ["sign"]
    steps = RELEASE["jobs"]["sign"]["steps"]
    assert not any("checkout" in step.get("uses", "") for step in steps)
    assert [step["run"] for step in steps if "run" in step] == ["cd dist && sha256sum --check --strict SHA256SUMS"]
    writing = {name for name, job in RELEASE["jobs"].items() if job["permissions"].get("contents") == "write"}
    assert writing == {"publish"}
    assert all(flow["permissions"] == {} for flow in workflows)


PYTHON, NODE = "library/python", "library/node"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PINNED = {found["name"]: found["digest"] for found in bases._PIN.finditer(DOCKERFILE)}


def test_every_base_is_pinned_by_digest_and_dated() -> None:
    assert set(PINNED) == {PYTHON, NODE}
    assert list(bases.notes(DOCKERFILE, _pinned_on(), lambda name, _: PINNED[name])) == []


def test_a_base_that_was_built_anew_or_looked_at_long_ago_is_told() -> None:
    later = date.fromordinal(_pinned_on().toordinal() + bases.OLD_DAYS + 1)
    old, anew = bases.notes(DOCKERFILE, later, lambda name, _: PINNED[name] if name == NODE else "sha256:new")
    assert f"{bases.OLD_DAYS + 1} days ago" in old
    assert "library/python:3." in anew
    assert "pin sha256:new" in anew


def test_a_registry_that_cannot_be_reached_is_told_and_no_failure() -> None:
    def nobody(name: str, tag: str) -> str:
        raise OSError("no route to host")

    told = list(bases.notes(DOCKERFILE, _pinned_on(), nobody))
    assert len(told) == 2
    assert all("was not compared" in note and "no route to host" in note for note in told)


def _pinned_on() -> date:
    return date.fromisoformat(bases._LOOKED.findall(DOCKERFILE)[0])
