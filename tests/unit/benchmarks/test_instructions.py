"""Counts of instructions are held against the committed ones of the same interpreter."""

import json
from pathlib import Path

import pytest

from benchmarks import instructions

COUNTS = {"decode": 1000, "commit": 2000}


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    path = tmp_path / "instructions.json"
    instructions.write(path, COUNTS)
    return path


def test_what_is_within_a_tenth_passes(figures: Path) -> None:
    lines, fine = instructions.judged(figures, {"decode": 1099, "commit": 2000})
    assert fine
    assert not any("Error" in line for line in lines)


def test_what_is_beyond_a_tenth_fails_and_is_named(figures: Path) -> None:
    lines, fine = instructions.judged(figures, {"decode": 1101, "commit": 2000})
    assert not fine
    assert "Error: decode: more than 10% above" in lines[-1]
    assert "make instructions ARGS=--write" in lines[-1]


def test_a_gain_is_told_so_that_the_bound_follows(figures: Path) -> None:
    lines, fine = instructions.judged(figures, {"decode": 900, "commit": 2000})
    assert fine
    assert "cheaper" in lines[-1]


def test_an_interpreter_without_figures_is_told_and_passes(figures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "interpreter", lambda: "another one")
    lines, fine = instructions.judged(figures, {"decode": 10**9, "commit": 2000})
    assert fine
    assert lines[-1].startswith("Note: another one: no figures")


def test_a_library_that_changed_since_is_named(figures: Path) -> None:
    known = json.loads(figures.read_text())
    known[instructions.interpreter()]["libraries"]["msgspec"] = "0.0.1"
    figures.write_text(json.dumps(known))
    lines, _ = instructions.judged(figures, COUNTS)
    assert any("msgspec 0.0.1 →" in line for line in lines)


def test_writing_keeps_the_figures_of_other_interpreters(figures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "interpreter", lambda: "another one")
    instructions.write(figures, {"decode": 1, "commit": 2})
    assert len(json.loads(figures.read_text())) == 2
