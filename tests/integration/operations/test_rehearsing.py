"""Rehearsing: what other settings, or another version, would make of recorded messages, told before they do."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
Command = Callable[..., Awaitable[str]]


def line(number: int, **metadata: Any) -> str:
    told = {"guid": f"p{number}", "dataset_id": "a1", "catalog_id": "c1", **metadata}
    execution = {"data_profile": {"execution": {"status": "finished"}}}
    body = {"published": f"2026-05-10T15:04:{number:02d}Z", "state": {"metadata": told, "entity": execution}}
    return json.dumps({"routing_key": f"v2.data_profiles.p{number}.POST", "body": body})


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recorded.ndjson.gz"
    path.write_bytes(gzip.compress("\n".join([line(1), line(2, owner_id="ann"), line(3, catalog_id="c2")]).encode()))
    return path


async def rehearsed(run_command: Command, recording: Path, *words: str, expect: int) -> dict[str, Any]:
    said = await run_command("rehearse", str(recording), *words, "--json", expect=expect)
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


@pytest.mark.slow
async def test_the_same_twice_differs_in_nothing_and_touches_no_mirror(
    run_command: Command, recording: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    store = tmp_path / "mine.db"
    said = await run_command("rehearse", str(recording), "--keep", str(kept), "--json", STORE__URL=f"sqlite:///{store}")
    found = json.loads(said.splitlines()[-1])

    assert found["differences"] == []
    assert found["present"]["counts"] == found["other"]["counts"]
    assert found["present"]["counts"]["applied"] == 3
    assert found["present"]["cost_us"] is None, "of three messages nobody knows it"
    assert not store.exists()
    assert {path.name for path in kept.glob("*.db")} == {"present.db", "other.db"}


async def test_other_settings_are_told_by_row_delivery_and_dead_letter(run_command: Command, recording: Path) -> None:
    found = await rehearsed(run_command, recording, "--set", "SCOPE__EXCLUDE=catalog:c2", expect=1)
    by_name = {one["relation"]: one for one in found["differences"]}
    assert by_name["v1_data_profiles"]["only_present"] == 1
    assert by_name["deliveries"]["only_present"] == 1

    found = await rehearsed(run_command, recording, "--set", "PIPELINE__PRINCIPALS=hash", expect=1)
    (example,) = next(one for one in found["differences"] if one["relation"] == "v1_data_profiles")["examples"]
    assert example["key"] == {"profile_id": "p2"}
    assert example["present"]["owner_id"] == "ann"
    assert example["other"]["owner_id"] != "ann"

    deep = json.loads(line(4))
    deep["body"]["state"]["entity"]["deep"] = [[[[[["x"]]]]]]
    recording.write_bytes(gzip.compress(json.dumps(deep).encode()))
    found = await rehearsed(run_command, recording, "--set", "PIPELINE__MAX_DEPTH=8", expect=1)
    letters = next(one for one in found["differences"] if one["relation"] == "dead_letters")
    assert letters["only_other"] == 1
    assert letters["examples"][0]["other"]["error_class"] == "nesting_too_deep"


async def test_a_recording_that_was_cut_off_is_used_as_far_as_it_goes(
    run_command: Command, recording: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.ndjson.gz"
    cut.write_bytes(recording.read_bytes()[:-12])
    found = await rehearsed(run_command, cut, expect=0)
    counts = found["present"]["counts"]
    assert counts["dead_lettered"] >= 1
    assert counts["read"] >= 1

    said = await run_command(
        "replay", str(cut), "--json", "--strict", expect=1, STORE__URL=f"sqlite:///{tmp_path}/m.db"
    )
    assert json.loads(said.splitlines()[-1])["dead_lettered"] >= 1
    shown = await run_command("dead-letters", "list", STORE__URL=f"sqlite:///{tmp_path}/m.db")
    assert "compressed recording ends here" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--set", "nonsense"), "PIPELINE__PRINCIPALS=hash"),
        (("--set", "STORE__POOL_SIZE=none"), "other side could not be rehearsed"),
        (("--config", "nowhere.yaml"), "There is no file 'nowhere.yaml'"),
        (("--python", __file__), "other side could not be rehearsed"),
        (("--wheel", __file__), "Name a wheel of Catalog Mirror"),
    ],
)
async def test_what_cannot_be_rehearsed_is_told_with_what_to_do(
    run_command: Command, recording: Path, words: tuple[str, ...], says: str
) -> None:
    said = await run_command("rehearse", str(recording), *words, expect=None)
    assert says in " ".join(said.split())
    assert "Traceback" not in said


@pytest.fixture
def changed_wheel(tmp_path: Path) -> Path:
    """This project, but the status of profiles is read from elsewhere."""
    copy = tmp_path / "copy"
    for name in ("service", "handlers", "catalog_mirror", "sandbox"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "hatch_build.py"):
        shutil.copy(ROOT / name, copy)
    module = copy / "service/events/profiles.py"
    text = module.read_text(encoding="utf-8")
    assert text.count("status=execution.status,") == 1
    module.write_text(text.replace("status=execution.status,", "status=None,"), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*command, str(copy)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    return wheel


async def test_a_wheel_of_another_version_is_rehearsed_beside_this_one(
    run_command: Command, recording: Path, changed_wheel: Path
) -> None:
    found = await rehearsed(run_command, recording, "--wheel", str(changed_wheel), expect=1)
    (one,) = found["differences"]
    assert (one["relation"], one["changed"], one["only_present"], one["only_other"]) == ("v1_data_profiles", 3, 0, 0)
    assert one["examples"][0]["present"] == {"status": "finished"}
    assert one["examples"][0]["other"] == {"status": None}


#: An engine that takes `run` as Docker's and Podman's references tell it, and of what is told no more: its container is
#: this version, which sees no variable but those that are named, and the folder where it is mounted.
ENGINE = """#!{python}
import argparse, os, sys
parser = argparse.ArgumentParser(prog="engine", allow_abbrev=False)
parser.add_argument("what", choices=["run"])
for flag in ("--rm", "--interactive", "--read-only"):
    parser.add_argument(flag, action="store_true", required=True)
for name in ("--tmpfs", "--security-opt", "--user", "--workdir"):
    parser.add_argument(name, required=True)
parser.add_argument("--network", choices=["none"], required=True)
parser.add_argument("--cap-drop", choices=["ALL"], required=True)
parser.add_argument("--volume", required=True)
parser.add_argument("--env", action="append", required=True)
parser.add_argument("image")
parser.add_argument("words", nargs=argparse.REMAINDER)
told = parser.parse_args()
if told.image != "{image}":
    sys.exit("Unable to find image " + told.image + " locally")
here, there, _ = told.volume.split(":")
assert told.workdir == there and told.user == f"{{os.getuid()}}:{{os.getgid()}}"
assert not any("=" in name for name in told.env), "a value that everybody sees who lists processes"
assert not any(name.endswith("_FILE") for name in told.env), "a file that is not in the image"
seen = {{name: os.environ[name].replace(there + "/", here + "/") for name in told.env}}
os.execve(sys.executable, [sys.executable, "-m", "service", *told.words], {{"PATH": os.environ["PATH"], **seen}})
"""
IMAGE = "registry.example.com/catalog-mirror@sha256:" + "0" * 64


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    program = tmp_path / "engine"
    program.write_text(ENGINE.format(python=sys.executable, image=IMAGE), encoding="utf-8")
    program.chmod(0o755)
    return program


async def test_an_image_is_rehearsed_without_a_network_and_with_no_value_on_its_command_line(
    run_command: Command, recording: Path, engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "--image", IMAGE, "--engine", str(engine)
    found = await rehearsed(run_command, recording, *words, expect=0)
    assert found["other"] == found["present"]

    (tmp_path / "key").write_text("of this machine", encoding="utf-8")
    monkeypatch.setenv("CATALOG_MIRROR_CATALOG__API_KEY_FILE", str(tmp_path / "key"))
    settings = tmp_path / "other.yaml"
    settings.write_text("pipeline: {principals: drop}\n", encoding="utf-8")
    found = await rehearsed(run_command, recording, *words, "--config", str(settings), expect=1)
    one = next(one for one in found["differences"] if one["relation"] == "v1_data_profiles")
    assert one["examples"][0]["present"]["owner_id"] == "ann"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--image", "unknown"), "Unable to find image unknown locally"),
        (("--image", IMAGE, "--engine", "no-such-engine"), "there is no no-such-engine here"),
        (("--image", IMAGE, "--python", sys.executable), "Name --wheel, --python or --image"),
    ],
)
async def test_an_image_that_cannot_be_run_is_told_with_what_to_do(
    run_command: Command, recording: Path, engine: Path, words: tuple[str, ...], says: str
) -> None:
    chosen = words if "--engine" in words else (*words, "--engine", str(engine))
    said = await run_command("rehearse", str(recording), *chosen, expect=None)
    assert says in " ".join(said.split())
    assert "Traceback" not in said
