"""OpenLineage's client, configured as docs/lineage.md says; what it does with refusals is in tests/acceptance."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.neighbours.environments import ROOT, Environment
from tests.neighbours.whole import TOKENS, Mirror

PROGRAM = Path(__file__).parent / "projects" / "openlineage" / "emit.py"


def configured(kind: str, mirror: Mirror) -> str:
    """The file that the page shows, with this mirror's place and token."""
    page = (ROOT / "docs" / "lineage.md").read_text(encoding="utf-8")
    found = re.search(r"\*\*openlineage-python .*?```yaml\n(.*?)```", page, re.S)
    assert found, "docs/lineage.md shows no file for openlineage-python"
    shown = found[1].replace("http://catalog-mirror:8081", mirror.url).replace("a-long-random-text", TOKENS["ingest"])
    return shown.replace("type: http,", f"type: {kind},")


@pytest.mark.neighbour("openlineage-python", "configured as docs/lineage.md says, compressed")
@pytest.mark.parametrize("kind", ["http", "async_http"])
async def test_the_file_of_the_page_brings_lineage(
    kind: str, tmp_path: Path, mirror: Mirror, installed: Callable[[str], Environment], tried: Callable[[str], None]
) -> None:
    producers = installed("dbt")
    tried(producers.version("openlineage-python"))
    (tmp_path / "openlineage.yml").write_text(configured(kind, mirror), encoding="utf-8")
    await producers.run("python", PROGRAM, cwd=tmp_path)
    await mirror.at_rest()
    prefix = "postgres://db:5432/shop.public."
    assert await mirror.edges() == {(f"{prefix}orders", f"{prefix}totals")}
    assert f"{prefix}totals" in await mirror.command("lineage", "shop.public.orders")
