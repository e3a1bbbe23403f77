"""What docs/benchmarks.md tells people to type is there."""

import re
import shlex
from pathlib import Path

import pytest

from benchmarks import instructions, profile
from benchmarks.__main__ import arguments

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
COMMANDS = re.findall(r'^\$ make (\w+)(?: ARGS="([^"]*)")?', PAGE, re.M)
PARSERS = {"bench": arguments, "profile": profile.arguments, "instructions": instructions.arguments}


@pytest.mark.parametrize(("target", "words"), COMMANDS, ids=[" ".join(command).strip() for command in COMMANDS])
def test_every_command_of_the_page_is_taken(target: str, words: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, re.M)
    PARSERS[target](shlex.split(words))


def test_the_page_has_a_command_of_each() -> None:
    assert {target for target, _ in COMMANDS} == set(PARSERS)


def test_the_page_names_everything_that_can_be_measured() -> None:
    names = arguments([]).only
    assert [name for name in names if f"`{name}`" not in PAGE] == []
