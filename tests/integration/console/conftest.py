"""The console on a mirror of its own, served in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aiohttp import web
from pydantic import SecretStr

from service.http.access import Access
from service.http.console.app import Console
from service.http.probes import listening
from service.http.problems import in_shape
from service.settings.model import HttpSettings, Settings, StoreSettings, TargetSettings

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

TOKENS = {name: f"{name}-0123456789abcdef" for name in ("reader", "operator", "second")}


@dataclass
class Served:
    """A console that answers."""

    url: str
    tokens: Path


Targets = dict[str, TargetSettings]
Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
async def mirror(sqlite_url: str, opened: Callable[..., AbstractAsyncContextManager[Mirror]]) -> AsyncIterator[Mirror]:
    """An empty mirror; what the pages stand on is tried on both kinds of store, and one of them is enough here."""
    async with opened(sqlite_url) as ready:
        yield ready


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    """A token that reads, and two that operate."""
    scopes = {"reader": ["read"], "operator": ["read", "operate"], "second": ["read", "operate"]}
    path = tmp_path / "tokens.yaml"
    path.write_text(yaml.safe_dump({n: {"token": TOKENS[n], "scopes": s} for n, s in scopes.items()}), encoding="utf-8")
    return path


@pytest.fixture
def serve(mirror: Mirror, tokens_file: Path) -> Serve:
    """`serve(acts=…, port=…, tokens=…, targets=…)` is a console on this mirror."""

    @asynccontextmanager
    async def served(
        *, acts: bool = True, port: int = 0, tokens: bool = True, targets: Targets | None = None, **http: Any
    ) -> AsyncIterator[Served]:
        settings = Settings(
            http=HttpSettings(host="127.0.0.1", tokens_file=tokens_file if tokens else None, **http),
            store=StoreSettings(url=SecretStr(mirror.store.url.render_as_string(hide_password=False))),
            targets=targets or {},
        )
        app = web.Application(middlewares=[in_shape])
        Console(settings, mirror.store, Access(settings.http), acts=acts).add_to(app)
        async with listening(app, "127.0.0.1", port, "") as found:
            yield Served(f"http://127.0.0.1:{found}", tokens_file)

    return served


@pytest.fixture
async def console(serve: Serve) -> AsyncIterator[Served]:
    """A console that acts."""
    async with serve() as served:
        yield served
