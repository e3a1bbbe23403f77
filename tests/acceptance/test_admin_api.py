"""The admin API of a service that runs: what is asked of one replica all of them do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.process import free_port

TOKEN = "operator-0123456789abcdef"
Start = Callable[..., MirrorProcess]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.yaml"
    path.write_text(f"dana: {{token: {TOKEN}, scopes: [operate]}}\n", encoding="utf-8")
    return path


@pytest.fixture
async def post() -> AsyncIterator[Callable[..., Any]]:
    """`post(port, path, body)` calls an admin API as Dana."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def call(port: int, path: str, body: Any) -> Any:
            async with session.post(f"http://127.0.0.1:{port}/api/admin{path}", json=body) as response:
                assert response.status < 300, await response.text()
                return await response.json()

        yield call


async def test_what_one_replica_is_asked_all_of_them_do(
    catalog: Any, amqp_url: str, postgres_url: str, mirror_process: Start, tmp_path: Path, tokens: Path, post: Any
) -> None:
    port = free_port()
    shared = {"AMQP__URL": amqp_url, "STORE__URL": postgres_url, "HTTP__TOKENS_FILE": str(tokens)}
    one = mirror_process(**shared, HTTP__ADMIN_PORT=str(port))
    other = MirrorProcess(tmp_path / "other.log", user=None, **shared)
    async with one, other:
        await asyncio.gather(one.wait_ready(), other.wait_ready())
        assert "admin_api_listening" in one.log_text()
        assert "admin_api" not in other.log_text(), "off, and nothing is said of it"

        await post(port, "/consuming/pause", {"reason": "maintenance"})
        await asyncio.gather(*(each.wait_for(_is_paused) for each in (one, other)))
        await post(port, "/consuming/resume", {})
        await asyncio.gather(*(each.wait_for(lambda status, body: not body["reasons"]) for each in (one, other)))

        await post(port, "/log-level", {"level": "debug", "lasts_s": 60})
        await asyncio.gather(*(_until_logged(each, '"least": "debug"') for each in (one, other)))
        await post(port, "/log-level/reset", {})
        await asyncio.gather(*(_until_logged(each, '"least": "info"') for each in (one, other)))


def _is_paused(status: int, body: dict[str, Any]) -> bool:
    return "paused by a person: maintenance (dana)" in body["reasons"]


async def _until_logged(service: MirrorProcess, text: str) -> None:
    async with asyncio.timeout(20):
        while text not in service.log_text():
            await asyncio.sleep(0.1)


async def test_without_tokens_it_is_off_and_the_service_says_so(
    catalog: Any, amqp_url: str, sqlite_url: str, mirror_process: Start
) -> None:
    port = free_port()
    service = mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url, HTTP__ADMIN_PORT=str(port))
    async with service:
        body = await service.wait_for(lambda status, body: status == 200)
        assert body["status"] == "degraded"
        assert "off without tokens" in " ".join(body["reasons"])
        assert "admin_api_not_served" in service.log_text()
        with pytest.raises(aiohttp.ClientConnectorError):
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/"):
                pass
