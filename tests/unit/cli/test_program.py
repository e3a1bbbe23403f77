"""The program: every command is where it is said to be, and loads only what it needs."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from service.cli import PLACES, app


@pytest.mark.parametrize("name", PLACES)
def test_every_command_explains_itself(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert f"Usage: catalog-mirror {name}" in shown.output


def test_the_commands_are_listed_in_their_order() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert [shown.index(f"\n  {name} ") for name in PLACES] == sorted(shown.index(f"\n  {name} ") for name in PLACES)


def test_a_mistyped_command_is_answered_with_those_that_were_meant() -> None:
    shown = CliRunner().invoke(app, ["dead-leters"])
    assert shown.exit_code == 2
    assert "Did you mean 'dead-letters'?" in shown.output


def test_a_command_does_not_load_what_others_need() -> None:
    script = (
        "import sys; from service.cli import app; app(['status', '--help'], standalone_mode=False); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "service.cli.status" in loaded
    assert not {"sandbox", "service.cli.demo", "service.process.app"} & set(loaded)
