"""The judges beside Python: one that is missing is named, with what to install, and fails in CI only."""

from pathlib import Path

import pytest

from sandbox import tools


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_a_missing_tool_is_named_with_what_to_install(
    ci: str, code: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    assert tools.main(["promtool", "--version"]) == code
    assert "apt-get install --no-install-recommends prometheus" in capfd.readouterr().err


def test_a_tool_s_exit_code_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "promtool"
    tool.write_text("#!/bin/sh\nexit 7\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert tools.main(["promtool"]) == 7
