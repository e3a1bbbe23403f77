"""The pages of guarantees and of security name tests that exist, and every guard with the test that misses it."""

import ast
import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def _tests() -> set[str]:
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        found |= {f"{path.name}::{node.name}" for node in functions}
    return found


def _guards() -> ModuleType:
    spec = importlib.util.spec_from_file_location("guards_of_the_page", ROOT / "tests" / "faults" / "test_guards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"test_\w+\.py::test_\w+", PAGE))
    assert len(named) > 40
    assert named <= _tests(), named - _tests()


def test_every_test_that_the_comparison_names_exists() -> None:
    compared = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    named = set(re.findall(r"test_\w+\.py::test_\w+", compared))
    assert named
    assert named <= _tests(), named - _tests()


def test_every_test_and_file_that_the_page_of_security_names_exists() -> None:
    named = set(re.findall(r"test_\w+\.py::test_\w+", SECURITY))
    assert len(named) > 40
    assert named <= _tests(), named - _tests()
    files = set(re.findall(r"`((?:service|helm|tests|docs|\.github)/[\w./-]+)`", SECURITY))
    assert len(files) > 20
    assert not [file for file in files if not (ROOT / file).exists()]


@pytest.mark.parametrize(("page", "guards"), [(PAGE, "GUARDS"), (SECURITY, "SECURITY_GUARDS")], ids=["faults", "harm"])
def test_every_guard_stands_on_its_page_with_its_lines_in_the_code_and_its_test(page: str, guards: str) -> None:
    listed: Sequence[Any] = getattr(_guards(), guards)
    for guard in listed:
        assert f"| {guard.name} | `{guard.file}` | `{guard.test}` |" in page
        text = (ROOT / guard.file).read_text(encoding="utf-8")
        for there, _ in guard.cuts:
            assert text.count(there) == 1, f"{guard.name}: {there}"
