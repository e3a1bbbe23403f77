"""The inspector of the Model Context Protocol: its command line asks the mirror, over HTTP and over stdio."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import pytest

from service.mcp.tools import TOOLS
from tests.neighbours.environments import PATIENCE_S, PLACE, ROOT, EnvironmentMissing
from tests.neighbours.whole import TOKENS, Mirror

LOCKED = Path(__file__).parent / "projects" / "inspector"
EVENT = {
    "eventTime": "2026-05-10T15:04:15Z",
    "eventType": "COMPLETE",
    "producer": "urn:test",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
    "run": {"runId": "3f5e83fa-3480-44ff-99c5-ff943904e5e8"},
    "job": {"namespace": "n", "name": "j"},
    "inputs": [{"namespace": "s3://lake", "name": "raw"}],
    "outputs": [{"namespace": "s3://lake", "name": "clean"}],
}


@pytest.fixture(scope="module")
def inspector(do_without: Callable[[Exception], NoReturn]) -> Path:
    """Where the inspector lies, installed by its lock."""
    place = PLACE / "inspector"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCKED / name, place)
    done = subprocess.run(  # not `ci`: an optional package for Windows alone is not to be had everywhere
        ["npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
        cwd=place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        do_without(EnvironmentMissing(f"npm could not install the inspector:\n{done.stdout}{done.stderr}"))
    return place / "node_modules"


@pytest.mark.neighbour("MCP Inspector", "tools and resources, by its command line")
@pytest.mark.parametrize("way", ["http", "stdio"])
async def test_the_inspector_asks_what_an_assistant_asks(
    way: str, mirror: Mirror, inspector: Path, tried: Callable[[str], None], tmp_path: Path
) -> None:
    tried(json.loads((inspector / "@modelcontextprotocol/inspector/package.json").read_text("utf-8"))["version"])
    headers = {"Authorization": f"Bearer {TOKENS['ingest']}"}
    async with aiohttp.ClientSession(mirror.url, headers=headers) as session:
        async with session.post("/api/v1/lineage", json=EVENT) as answer:
            assert answer.status == 201

    async def ask(method: str, *arguments: str) -> Any:
        if way == "http":
            server = [f"{mirror.url}/mcp", "--transport", "http", "--header", f"Authorization: Bearer {TOKENS['read']}"]
        else:
            server = [
                str(ROOT / ".venv/bin/catalog-mirror"),
                "mcp",
                "-e",
                f"CATALOG_MIRROR_STORE__URL={mirror.store_url}",
            ]
        return await asked(inspector, [*server, "--method", method, *arguments], tmp_path)

    told = await ask("tools/list")
    assert {tool["name"] for tool in told["tools"]} == set(TOOLS)
    (answered,) = (await ask("tools/call", "--tool-name", "impact", "--tool-arg", "asset_id=s3://lake/raw"))["content"]
    assert "s3://lake/clean" in answered["text"]
    resources = (await ask("resources/list"))["resources"]
    assert "v1_assets" in json.dumps(resources)


async def asked(inspector: Path, arguments: list[str], home: Path) -> Any:
    """What its command line prints, which is JSON."""
    process = await asyncio.create_subprocess_exec(
        "node", inspector / ".bin/mcp-inspector", "--cli", *arguments,
        cwd=home, env={**os.environ, "HOME": str(home)},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complained = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 0, (said + complained).decode()
    return json.loads(said)
