"""The house as docs/architecture.md shows it: few rooms, few floors, and a way through it that is there."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
_AROUND = ("__init__.py", "__main__.py", "__pycache__", "py.typed")
NAMES = sorted(path.name for path in (ROOT / "service").iterdir() if path.name not in _AROUND)
#: `room.module.name` or `room.module.Class.name`, as the ways through the house have it.
_CALL = re.compile(r"`((?:[a-z_]+\.)+(?:[A-Z]\w+(?:\.[a-z_]\w*)?|[a-z_]\w*))`")


def layers() -> list[list[str]]:
    told: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [re.split(r" : ", floor) for floor in told["tool"]["importlinter"]["contracts"][0]["layers"]]


def test_there_are_few_rooms_and_hardly_a_module_beside_them() -> None:
    rooms = [name for name in NAMES if name != "routing.py"]  # which only warns, and goes with the next version
    assert len(rooms) <= 20, rooms
    assert len([name for name in NAMES if name.endswith(".py")]) <= 3, NAMES


def test_the_floors_are_the_rooms() -> None:
    assert len(layers()) <= 10
    assert sorted(room for floor in layers() for room in floor) == [name.removesuffix(".py") for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_a_room_says_what_comes_in_what_goes_out_and_what_it_may_not_import(name: str) -> None:
    if name.endswith(".py"):
        return
    told = importlib.import_module(f"service.{name}").__doc__ or ""
    assert "Comes in: " in told
    assert "Goes out: " in told
    assert re.search(r"may\s+not\s+import|imports", told), "what it may, or may not, import"


def test_the_page_shows_every_room() -> None:
    shown = set(re.findall(r"`(\w+(?:/|\.py))`", PAGE))
    assert {name if name.endswith(".py") else f"{name}/" for name in NAMES if name != "routing.py"} <= shown


def test_every_call_on_the_page_is_there() -> None:
    calls = [call for call in _CALL.findall(PAGE) if call.split(".")[0] in {*NAMES, "handlers"}]
    assert len(calls) > 15
    for call in calls:
        module, found = _module(call)
        for name in found:
            assert hasattr(module, name), f"{call} is not there"
            module = getattr(module, name)


def _module(call: str) -> tuple[Any, list[str]]:
    """The longest part of a call that is a module, and the names after it."""
    words = call.split(".")
    for end in range(len(words) - 1, 0, -1):
        path = ".".join(words[:end] if words[0] == "handlers" else ["service", *words[:end]])
        if (ROOT / (path.replace(".", "/") + ".py")).is_file():
            return importlib.import_module(path), words[end:]
    raise AssertionError(f"{call} names no module")


def test_every_folder_of_tests_is_collected_but_the_neighbours() -> None:
    told: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {f"tests/{path.name}" for path in (ROOT / "tests").iterdir() if any(path.rglob("test_*.py"))}
    assert set(told["tool"]["pytest"]["testpaths"]) == folders - {"tests/neighbours"}
