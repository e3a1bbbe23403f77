"""Lineage back over the catalog's API: what arrives, what never will, and what waits."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from service.errors import (
    CatalogBusy,
    CatalogFailed,
    CatalogForbidden,
    CatalogRefused,
    CatalogUnreachable,
    DeliveryRejected,
    MirrorError,
    SettingInvalid,
    TargetUnavailable,
)
from service.mirror.deliveries import Delivery
from service.process.app import reachable_targets
from service.settings.model import AmqpSettings, CatalogSettings, Settings, TargetSettings
from service.targets.base import Target, installed_targets
from service.targets.catalog_lineage import CatalogLineage, LineageOverAmqp, LineageOverRest

PATH = "POST /v2/lineage_events"


def delivery(number: int, document: str | None = "") -> Delivery:
    text = json.dumps({"event_details": {"event_id": f"e{number}"}}) if document == "" else document
    return Delivery(f"d{number}", "catalog_lineage", "lineage_event", f"e{number}", "LineageRecorded", document=text)


@pytest.fixture
async def target(server: Any, settings_for: Any) -> AsyncIterator[Target]:
    """The target, as `auto` makes it where a catalog's URL is set."""
    made = CatalogLineage.create("catalog_lineage", Settings(catalog=settings_for(server)))
    assert made
    yield made
    await made.close()


def kind_of(target: Target | None) -> type | None:
    return None if target is None else type(target)


@pytest.mark.parametrize(
    ("via", "url", "kind"),
    [
        ("auto", None, LineageOverAmqp), ("auto", "https://h", LineageOverRest), ("rest", "https://h", LineageOverRest),
        ("amqp", "https://h", LineageOverAmqp), ("amqp", None, LineageOverAmqp), ("off", "https://h", None),
    ],
)  # fmt: skip
def test_auto_is_rest_where_a_catalog_is_set(via: Any, url: str | None, kind: type | None) -> None:
    settings = Settings(
        catalog=CatalogSettings(url=url, api_key=SecretStr("k")),
        amqp=AmqpSettings(url=SecretStr("amqp://h")),
        targets={"catalog_lineage": TargetSettings(via=via)},
    )

    made = CatalogLineage.create("catalog_lineage", settings)

    assert kind_of(made) is kind
    assert [type(target) for target in installed_targets(settings)] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("amqp", "catalog", "kinds"),
    [
        (None, None, []), ("amqp://h", None, [LineageOverAmqp]), (None, "https://h", [LineageOverRest]),
        ("amqp://h", "https://h", [LineageOverRest]),
    ],
)  # fmt: skip
def test_a_service_that_lives_on_what_is_posted_tells_nobody_it_cannot_reach(
    amqp: str | None, catalog: str | None, kinds: list[type]
) -> None:
    """Each of its deliveries would wait until it is a dead letter, after a week."""
    settings = Settings(
        catalog=CatalogSettings(url=catalog, api_key=SecretStr("k")),
        amqp=AmqpSettings(url=SecretStr(amqp) if amqp else None),
    )

    assert [type(target) for target in reachable_targets(settings)] == kinds


@pytest.mark.parametrize(
    ("via", "catalog", "names"),
    [
        ("rest", CatalogSettings(), "TARGETS__CATALOG_LINEAGE__VIA"),
        ("rest", CatalogSettings(url="https://h"), "CATALOG__API_KEY"),
        ("auto", CatalogSettings(url="https://h"), "CATALOG__API_KEY"),
    ],
)
def test_it_never_falls_silent(via: Any, catalog: CatalogSettings, names: str) -> None:
    settings = Settings(catalog=catalog, targets={"catalog_lineage": TargetSettings(via=via)})

    with pytest.raises(SettingInvalid, match=names):
        CatalogLineage.create("catalog_lineage", settings)


@pytest.mark.parametrize("status", [202, 204, 200, 201])
async def test_what_is_accepted_has_arrived(server: Any, target: Target, status: int) -> None:
    server.answers(PATH, lambda _: web.Response(status=status))

    assert await target.deliver([delivery(number) for number in range(10)]) == [None] * 10

    assert sorted(heard.json["event_details"]["event_id"] for heard in server.calls()) == [f"e{n}" for n in range(10)]
    assert await target.deliver([]) == []


@pytest.mark.parametrize(
    ("status", "kind", "calls"),
    [
        (400, DeliveryRejected, 1), (409, DeliveryRejected, 1), (422, DeliveryRejected, 1), (401, CatalogRefused, 2),
        (403, CatalogForbidden, 1), (404, TargetUnavailable, 1), (410, TargetUnavailable, 1), (429, CatalogBusy, 1),
        (500, CatalogFailed, 1), (503, CatalogFailed, 1),
    ],
)  # fmt: skip
async def test_what_is_refused_is_a_dead_letter_and_what_may_pass_waits(
    server: Any, target: Target, status: int, kind: type[MirrorError], calls: int
) -> None:
    server.answers(PATH, lambda _: web.json_response({"errors": [{"code": "c", "message": "m"}]}, status=status))

    (result,) = await target.deliver([delivery(1)])

    assert type(result) is kind
    assert len(server.calls()) == calls
    assert result.advice()


async def test_one_bad_event_hurts_only_itself(server: Any, target: Target) -> None:
    async def reply(request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        return web.Response(status=400 if body["event_details"]["event_id"] == "e3" else 202)

    server.answers(PATH, reply)

    results = await target.deliver([delivery(0), delivery(1, document=None), delivery(2), delivery(3), delivery(4)])

    assert [type(result) for result in results] == [
        type(None), DeliveryRejected, type(None), DeliveryRejected, type(None),
    ]  # fmt: skip


async def test_after_the_first_that_has_to_wait_the_rest_is_not_tried(server: Any, target: Target) -> None:
    server.answers(PATH, lambda _: web.Response(status=503))

    results = await target.deliver([delivery(number) for number in range(100)])

    assert {type(result) for result in results} == {CatalogFailed}
    assert len(server.calls()) <= 4


async def test_it_closes_while_it_delivers_and_opens_again(server: Any, target: Target) -> None:
    begun = asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        begun.set()
        await asyncio.sleep(30)
        return web.Response(status=202)

    server.answers(PATH, slow)
    work = asyncio.create_task(target.deliver([delivery(1)]))
    await begun.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await target.close()
    server.answers(PATH, lambda _: web.Response(status=204))
    assert await target.deliver([delivery(1)]) == [None]


async def test_a_catalog_that_is_not_there_makes_everything_wait(settings_for: Any, server: Any) -> None:
    settings = Settings(catalog=settings_for(server, url="http://127.0.0.1:1"))
    target = CatalogLineage.create("catalog_lineage", settings)
    assert target

    results = await target.deliver([delivery(1), delivery(2)])

    assert [type(result) for result in results] == [CatalogUnreachable] * 2
    await target.close()
