"""OpenLineage to the catalog's own endpoint: with the catalog's sign-in, renewed when it is refused."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from service.errors import TargetUnavailable
from service.mirror.deliveries import Delivery
from service.settings.model import Settings, TargetSettings
from service.targets.base import Target
from service.targets.openlineage import OpenLineage

PATH = "POST /gov_lineage/v2/lineage_events/openlineage"


def delivery(number: int) -> Delivery:
    details = {"event_id": f"e{number}", "event_time": "2026-05-10T15:04:15Z"}
    body = json.dumps({"event_details": details, "uses_assets": [{"id": "a"}]})
    return Delivery(f"ibm:e{number}", "ibm", "lineage_event", f"e{number}", "LineageRecorded", document=body)


def made(server: Any, settings_for: Any) -> Target:
    chosen = TargetSettings(url=server.url, options={"dialect": "ibm", "sign_in": "catalog"})
    target = OpenLineage.create("ibm", Settings(catalog=settings_for(server), targets={"ibm": chosen}))
    assert target
    return target


async def test_the_catalogs_sign_in_opens_its_openlineage_endpoint_and_is_renewed(
    server: Any, settings_for: Any
) -> None:
    server.answers(PATH, lambda _: web.json_response({}, status=201))
    target = made(server, settings_for)
    try:
        assert await target.deliver([delivery(1)]) == [None]
        server.tokens[0] = "taken away"
        assert await target.deliver([delivery(2)]) == [None]
    finally:
        await target.close()

    posted = [heard.json for heard in server.heard if heard.path.endswith("/openlineage")]
    assert [event["eventType"] for event in posted if event["run"].get("facets") == {}][:2] == ["START", "COMPLETE"]


async def test_a_sign_in_that_answers_nonsense_is_not_the_events_fault(server: Any, settings_for: Any) -> None:
    server.sign_in = lambda _: web.Response(text="<html>", content_type="text/html")
    target = made(server, settings_for)
    try:
        (result,) = await target.deliver([delivery(1)])
    finally:
        await target.close()

    assert isinstance(result, TargetUnavailable) or "CatalogAnswerInvalid" in type(result).__name__
