"""A mirror as its neighbours and its users see it: where events are posted, and what it answers afterwards."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from sandbox.parts.process import free_port
from tests.fixtures import Rows
from tests.neighbours.environments import ROOT

#: Who may call, by scope.
TOKENS = {
    "ingest": "producer-0123456789abcdef",
    "read": "people-0123456789abcdef",
    "operate": "admins-0123456789abcdef",
}

#: What a run of the tests alone has, and what stands for it in what is recorded.
_PLAIN = (
    (re.compile(r"test_[0-9a-f]{32}"), "shop"),
    (re.compile(r"127\.0\.0\.1:\d+"), "db:5432"),
    (re.compile(re.escape(str(ROOT))), "/home/shop"),
    (re.compile(r"/tmp/pytest-[^\"]*?/(?=home/)"), "/"),
)


class Mirror:
    """A mirror with tokens, neither broker nor catalog; `settings` are the environment of whoever runs it."""

    def __init__(self, place: Path, store_url: str, rows: Rows, run_command: Callable[..., Awaitable[str]]) -> None:
        self.store_url = store_url
        self.rows = rows
        self._run_command = run_command
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        tokens = place / "tokens.yaml"
        named = {scope: {"token": token, "scopes": [scope]} for scope, token in TOKENS.items()}
        tokens.write_text(yaml.safe_dump(named), encoding="utf-8")
        self.settings = {
            "STORE__URL": store_url,
            "HTTP__API_PORT": str(port),
            "HTTP__TOKENS_FILE": str(tokens),
        }

    @property
    def transport(self) -> dict[str, Any]:
        """The setting `transport` of OpenLineage's clients, as docs/lineage.md has it."""
        return {"type": "http", "url": self.url, "auth": {"type": "api_key", "apiKey": TOKENS["ingest"]}}

    async def command(self, *arguments: str) -> str:
        """What `catalog-mirror …` prints."""
        return await self._run_command(*arguments, **self.settings)

    async def lineage(self, asset: str, *options: str) -> dict[str, Any]:
        """What `catalog-mirror lineage ASSET --json` answers."""
        found: dict[str, Any] = json.loads(await self.command("lineage", asset, *options, "--json"))
        return found

    async def get(self, path: str, **parameters: str) -> Any:
        """What the API answers to a reader."""
        headers = {"Authorization": f"Bearer {TOKENS['read']}"}
        async with aiohttp.ClientSession(self.url, headers=headers) as session:
            async with session.get(path, params=parameters) as answer:
                assert answer.status == 200, await answer.text()
                return await answer.json()

    async def edges(self) -> set[tuple[str, str]]:
        """Every pair (made of, made) of data sets by a job that completed, by the names that producers use."""
        return {
            (made_of, made)
            for made_of, made in await self.rows.all(
                "SELECT DISTINCT u.asset_id, g.asset_id"
                " FROM v1_lineage_edges u JOIN v1_lineage_edges g USING (event_id)"
                " JOIN v1_lineage_events e USING (event_id)"
                " WHERE u.role = 'uses' AND g.role = 'generates' AND e.event_type = 'JOB_COMPLETED'"
            )
        }

    async def record(self, file: Path) -> None:
        """Keep what producers sent, in order, without what is of this run alone."""
        told = await self.rows.all("SELECT document FROM openlineage_events ORDER BY event_time, document")
        lines = [document for (document,) in told]
        for pattern, plain in _PLAIN:
            lines = [pattern.sub(plain, line) for line in lines]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    async def at_rest(self, quiet_s: float = 2.0) -> None:
        """Wait until nothing more comes in."""
        seen, last = -1, await self._count()
        while seen != last:
            await asyncio.sleep(quiet_s)
            seen, last = last, await self._count()

    async def _count(self) -> int:
        return int(await self.rows.one("SELECT count(*) FROM openlineage_events"))
