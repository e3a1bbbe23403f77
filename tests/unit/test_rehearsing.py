"""A side of a rehearsal is started as often as it has to be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from service.operations import rehearsing
from service.operations.rehearsing import ENOUGH, Other, rehearse

#: Stands in for the command `replay`: writes down how many lines it was given.
PROGRAM = """#!/bin/sh
wc -l >> {given}
echo '{{"read": {read}}}'
"""


@pytest.mark.parametrize(
    ("lines", "read", "given"),
    [
        (ENOUGH - 1, ENOUGH - 1, [ENOUGH - 1]),
        (ENOUGH, ENOUGH, [0, ENOUGH, 0]),
        (ENOUGH, 3, [0, ENOUGH]),  # the others were empty
    ],
)
def test_what_few_messages_cost_is_not_told_and_a_side_is_started_once_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int, read: int, given: list[int]
) -> None:
    program, told = tmp_path / "program", tmp_path / "given"
    program.write_text(PROGRAM.format(given=told, read=read), encoding="utf-8")
    program.chmod(0o755)
    recording = tmp_path / "recorded.ndjson"
    recording.write_bytes(b"\n".join([b"{}"] * lines))
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(rehearsing, "compared", lambda *_: [])

    took = rehearse([recording], Other(), tmp_path)

    assert [int(number) for number in told.read_text().split()] == given * 2
    for side in (took.present, took.other):
        assert (side.cost_us is None) == (len(given) < 3)
