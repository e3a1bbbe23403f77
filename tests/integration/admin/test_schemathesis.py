"""Schemathesis calls every admin operation with what its description allows and forbids; it finds nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from pydantic import SecretStr
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import ignored_auth

from service.http.admin import openapi
from service.http.admin.api import AdminApi
from service.http.admin.calls import Means
from service.http.probes import listening
from service.mirror import schema as store_schema
from service.mirror.store import Store
from service.operations.work import Desk
from service.settings.model import CatalogSettings, HttpSettings, Settings, StoreSettings
from service.telemetry.metrics import Metrics
from tests.described import asked, operations
from tests.integration.admin.conftest import TOKENS

DOCUMENT = openapi.document()


@pytest.fixture(scope="module")
def schema() -> BaseSchema:
    """What the admin API says of itself."""
    return schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def admin_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The admin API in a thread of its own."""
    directory = tmp_path_factory.mktemp("admin")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="admin")
    thread.start()
    stop, ready = asyncio.Event(), loop.create_future()
    served = asyncio.run_coroutine_threadsafe(serve(directory, ready, stop), loop)
    yield asyncio.run_coroutine_threadsafe(_value(ready), loop).result(30)
    loop.call_soon_threadsafe(stop.set)
    served.result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _value(future: asyncio.Future[str]) -> str:
    return await future


async def serve(directory: Path, ready: asyncio.Future[str], stop: asyncio.Event) -> None:
    tokens = directory / "tokens.yaml"
    tokens.write_text(f"dana: {{token: {TOKENS['dana']}, scopes: [operate]}}\n", encoding="utf-8")
    url = SecretStr(f"sqlite:///{directory / 'mirror.db'}")
    chosen = Settings(
        http=HttpSettings(tokens_file=tokens, admin_port=0), store=StoreSettings(url=url),
        catalog=CatalogSettings(url="http://127.0.0.1:1", api_key=SecretStr("key")),
    )  # fmt: skip
    store = Store(chosen.store)
    await store_schema.upgrade(store)
    desk = Desk(store)
    api = AdminApi(Means(chosen, store, desk), Metrics())
    async with listening(api.application(), "127.0.0.1", 0, "") as port:
        ready.set_result(f"http://127.0.0.1:{port}")
        await stop.wait()
        await desk.stop()
    await store.close()


@pytest.mark.parametrize("operation", operations(DOCUMENT))
def test_the_admin_api_does_what_its_description_says(schema: BaseSchema, operation: str, admin_url: str) -> None:
    # That nobody gets in without a good token is asked of every call in test_door, once instead of at every example.
    headers, elsewhere = {"Authorization": f"Bearer {TOKENS['dana']}"}, [ignored_auth]

    @settings(max_examples=3, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(base_url=admin_url, headers=headers, excluded_checks=elsewhere)

    asked(schema, operation, check)()
