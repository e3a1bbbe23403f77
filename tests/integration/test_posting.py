"""Calls to a backend: one that asks us to wait is left alone until then."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from sandbox.serving import serving
from service.errors import TargetUnavailable
from service.targets.posting import Poster
from service.targets.sign_in import Given


class Backend:
    """Answers what it is told to, and counts what reaches it."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.asked = 0

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        return self.answers.pop(0) if self.answers else web.json_response({})


@pytest.fixture
async def backend() -> AsyncIterator[tuple[Backend, Poster]]:
    made = Backend()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    async with serving(app, 0, "127.0.0.1") as url, _closing(Poster("backend", url, Given(lambda: None), 5)) as poster:
        yield made, poster


@asynccontextmanager
async def _closing(poster: Poster) -> AsyncIterator[Poster]:
    try:
        yield poster
    finally:
        await poster.close()


@pytest.mark.parametrize("status", [429, 503])
async def test_who_asks_us_to_wait_hears_nothing_until_then(backend: tuple[Backend, Poster], status: int) -> None:
    asked, poster = backend
    asked.answers = [web.Response(status=status, headers={"Retry-After": "1"})]
    assert (await poster.post("/events", {})).status == status
    with pytest.raises(TargetUnavailable, match="asked us to wait for another 1 s"):
        await poster.get("/jobs")
    assert asked.asked == 1
    await asyncio.sleep(1.05)  # what the header says
    assert (await poster.post("/events", {})).is_success


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "-5"}, {"Retry-After": "9" * 40}])
async def test_who_asks_for_nothing_that_can_be_understood_is_asked_again(
    backend: tuple[Backend, Poster], headers: dict[str, str]
) -> None:
    asked, poster = backend
    asked.answers = [web.Response(status=429, headers=headers)]
    assert (await poster.post("/events", {})).status == 429
    assert (await poster.post("/events", {})).is_success


async def test_nobody_may_silence_us_for_more_than_an_hour(backend: tuple[Backend, Poster]) -> None:
    asked, poster = backend
    asked.answers = [web.Response(status=503, headers={"Retry-After": "999999"})]
    assert (await poster.post("/events", {})).status == 503
    with pytest.raises(TargetUnavailable, match="another 3600 s"):
        await poster.post("/events", {})
