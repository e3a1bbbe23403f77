"""A kind is declared in one place: in a copy of the project one is added, and works like all others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent / "new_kind"
COPIED = ("service", "handlers", "sandbox", "tests", "pyproject.toml")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project with gadgets: a module, and two lines that name it."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("node_modules"))
        else:
            shutil.copy(source, tmp_path / name)
    kinds = tmp_path / "service/kinds"
    shutil.copy(HERE / "gadgets.py", kinds)
    page = (kinds / "__init__.py").read_text(encoding="utf-8")
    named = page.replace(
        "from service.kinds.glossary", "from service.kinds.gadgets import GADGET\nfrom service.kinds.glossary"
    )
    named = named.replace(",\n    )\n}", ", GADGET,\n    )\n}")
    assert named.count("GADGET") == 2
    (kinds / "__init__.py").write_text(named, encoding="utf-8")
    return tmp_path


def run(copy: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": ""}  # it starts six times
    done = subprocess.run([sys.executable, *words], cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_kind_is_added_by_one_module_and_one_migration(copy: Path) -> None:
    said = run(copy, "-m", "service.mirror.migrations", "gadgets")
    (written,) = (copy / "service/mirror/migrations/versions").glob("*_gadgets.py")
    assert written.name in said
    assert "nothing to write" in run(copy, "-m", "service.mirror.migrations", "again")

    told = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/integration/sync/new_kind/all_the_way.py")
    assert "2 passed" in told, "on both stores"

    reference = run(copy, "-m", "service", "docs", "tables")
    assert "gadgets" in reference
    assert "v1_gadgets" in run(copy, "-m", "service", "docs", "dbt")
    assert "v2.gadgets.*.#" in run(copy, "-m", "service", "docs", "topics")
