"""Lineage to OpenLineage backends: what they get, in which order, what is refused, and what never goes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.transport.http import HttpConfig, HttpTransport

from sandbox.openlineage.backend import PocketBackend, serve
from service.changes import AssetSaved, Change, ConnectionDetails, Container, Origin, Rank, ThingSaved, Version
from service.errors import SettingInvalid
from service.http.api import Api
from service.http.probes import listening
from service.kinds.relationships import RELATIONSHIP
from service.mirror import controls, deliveries, writer
from service.openlineage.marks import MARK
from service.settings.model import HttpSettings, OpenLineageSettings, RelaySettings, Settings, TargetSettings
from service.targets.base import Target, installed_targets
from service.targets.openlineage import OpenLineage
from service.targets.relay import Relay
from service.telemetry.metrics import Metrics
from service.text.documents import document
from tests.integration.lineage.conftest import TOKENS
from tests.published import problems_of

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror

RUN = "3f5e83fa-3480-44ff-99c5-ff943904e5e8"
PATIENCE_S = 20.0


class Running:
    """A mirror with its relay and its API."""

    def __init__(self, mirror: Mirror, relay: Relay, pipeline: Any, url: str) -> None:
        self.mirror, self.relay, self.pipeline, self.url = mirror, relay, pipeline, url

    async def take(self, *messages: Any) -> None:
        await self.pipeline.process(messages, Origin.LIVE)

    async def post(self, token: str, *events: Any) -> None:
        headers = {"Authorization": f"Bearer {TOKENS[token]}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            for event in events:
                async with session.post(f"{self.url}/api/v1/lineage", json=event) as answer:
                    assert answer.status == 201, await answer.text()

    async def at_rest(self) -> bool:
        return bool(await self.mirror.one("SELECT count(*) FROM deliveries") == 0)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not (await found if asyncio.iscoroutine(found := condition()) else found):
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(mirror: Mirror, *targets: Target | None, **http: Any) -> AsyncIterator[Running]:
    chosen = [target for target in targets if target is not None]
    relay = Relay(mirror.store, chosen, RelaySettings(poll_s=0.05, retry_max_s=0.1), Metrics())
    async with mirror.store.write() as connection:
        await controls.ensure_targets(connection, [target.name for target in chosen])
    pipeline = mirror.pipeline(*chosen, outlet=relay)  # type: ignore[arg-type]
    api = Api(Settings(http=HttpSettings(**http)), mirror.store, pipeline)
    task = asyncio.create_task(relay.run())
    try:
        async with listening(api.application(), "127.0.0.1", 0, "") as port:
            yield Running(mirror, relay, pipeline, f"http://127.0.0.1:{port}")
    finally:
        relay.stop()
        await task


def target(url: str, name: str = "openlineage", **more: Any) -> Target | None:
    options = more.pop("options", {})
    return OpenLineage.create(name, Settings(targets={name: TargetSettings(url=url, options=options, **more)}))


@pytest.fixture
async def backend() -> AsyncIterator[PocketBackend]:
    made = PocketBackend()
    async with serve(made) as made.url:  # type: ignore[attr-defined]
        yield made


def run_event(state: str = "COMPLETE", run: str = RUN, **more: Any) -> Any:
    return {
        "eventType": state, "eventTime": "2026-05-10T15:04:15Z", "producer": "https://example.com/airflow",
        "run": {"runId": run, "facets": {"custom_x": {"_producer": "urn:x", "_schemaURL": "urn:y", "kept": 1}}},
        "job": {"namespace": "airflow", "name": "orders.load"}, **more,
    }  # fmt: skip


def unmarked(event: Any) -> Any:
    """As it came: with the id that the mirror knows it by it goes on."""
    facets = dict(event["run"]["facets"])
    assert facets.pop(MARK)["id"]
    return {**event, "run": {**event["run"], "facets": facets}}


async def test_lineage_of_the_catalog_is_told_as_a_run_with_names_and_columns(
    mirror: Mirror, events: Events, backend: Any
) -> None:
    place, version = Container("catalog", "c1"), Version(1, Rank.READ)
    states: list[Change] = [
        AssetSaved("k", version, document({}), place, connection=ConnectionDetails("db2", None, "h", None, "shop")),
        AssetSaved("a1", version, document({}), place, "Orders", connection_id="k", connection_path="/s/orders"),
    ]
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate(states))
    async with running(mirror, target(backend.url)) as here:
        await here.take(events.lineage("e1", uses=["a1"], generates=["a2"], event_type="DATASET_PUBLISHED"))
        await until(here.at_rest)

    assert backend.states() == ["START", "COMPLETE"]
    assert [problems_of(event) for event in backend.events] == [[], []]
    (_, told) = backend.events
    assert [(one["namespace"], one["name"]) for one in told["inputs"]] == [("db2://h:50000", "shop.s.orders")]
    assert [(one["namespace"], one["name"]) for one in told["outputs"]] == [("catalog://", "a2")]
    assert all("catalog-mirror/" in agent for agent in backend.agents)


async def test_relationships_between_columns_that_settings_name_are_column_lineage(
    mirror: Mirror, events: Events, backend: Any
) -> None:
    def flow(relationship_id: str, name: str, column: str) -> Change:
        ends = {
            "relationship_name": name, "source_kind": "column", "source_id": "a1", "source_column": column,
            "target_kind": "column", "target_id": "a2", "target_column": f"{column}_sum",
        }  # fmt: skip
        values = RELATIONSHIP.row(**ends)
        return ThingSaved("relationship", relationship_id, Version(1, Rank.READ), document({}), values)

    states: list[Change] = [
        AssetSaved("a1", Version(1, Rank.READ), document({})), AssetSaved("a2", Version(1, Rank.READ), document({})),
        flow("r1", "flows into", "amount"), flow("r2", "is like", "tax"),
    ]  # fmt: skip
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate(states))
    told = OpenLineageSettings(column_relationships=["flows into"])
    chosen = Settings(targets={"openlineage": TargetSettings(url=backend.url)}, openlineage=told)
    async with running(mirror, OpenLineage.create("openlineage", chosen)) as here:
        await here.take(events.lineage("e1", uses=["a1"], generates=["a2"]))
        await until(here.at_rest)

    assert problems_of(backend.events[-1]) == []
    (output,) = backend.events[-1]["outputs"]
    assert output["facets"]["columnLineage"]["fields"] == {
        "amount_sum": {"inputFields": [{"namespace": "catalog://", "name": "a1", "field": "amount"}]}
    }


async def test_what_came_as_openlineage_goes_on_as_it_came_start_first_and_never_back(
    mirror: Mirror, backend: Any, tokens_file: Path
) -> None:
    other = PocketBackend()
    async with (
        serve(other) as other_url,
        running(mirror, target(backend.url, "marquez"), target(other_url, "airflow"), tokens_file=tokens_file) as here,
    ):
        backend.failures = [503, 429, 503]
        start, complete = run_event("START"), run_event("COMPLETE")
        await here.post("airflow", [complete, start])
        await until(here.at_rest)
        await here.post("airflow", start, complete)
        await until(here.at_rest)

    assert [unmarked(event) for event in backend.events] == [start, complete]
    assert other.calls == []


async def test_complete_waits_for_start_even_while_fresh_lineage_goes_from_memory(
    mirror: Mirror, events: Events, backend: Any, tokens_file: Path
) -> None:
    async with running(mirror, target(backend.url), tokens_file=tokens_file) as here:
        for number in range(10):
            await here.post("airflow", run_event("START", f"00000000-0000-0000-0000-00000000000{number}"))
            await here.take(events.lineage(f"e{number}"))
            await here.post("airflow", run_event("COMPLETE", f"00000000-0000-0000-0000-00000000000{number}"))
        await until(here.at_rest)

    for number in range(10):
        assert backend.states(f"00000000-0000-0000-0000-00000000000{number}") == ["START", "COMPLETE"]


async def test_the_catalog_is_told_a_run_once_it_is_complete_with_all_that_its_events_said(
    mirror: Mirror, tokens_file: Path, subscriber: Any
) -> None:
    class Catalog(Target):
        lineage = forwards = True
        told: list[Any] = []  # noqa: RUF012

        @classmethod
        def create(cls, name: str, settings: Settings) -> None:
            """Made here alone."""

        async def deliver(self, batch: Any) -> Any:
            self.told += [json.loads(delivery.document) for delivery in batch]
            return [None] * len(batch)

    catalog = Catalog("catalog", [Origin.LIVE])
    async with running(mirror, catalog, tokens_file=tokens_file) as here:
        await here.post("airflow", run_event("START", inputs=[{"namespace": "n", "name": "i"}]))
        await until(here.at_rest)
        assert catalog.told == []
        await here.post("airflow", run_event("COMPLETE", outputs=[{"namespace": "n", "name": "o"}]))
        await here.post("airflow", run_event("FAIL", "00000000-0000-0000-0000-000000000001"))
        await until(lambda: catalog.told)
        await until(here.at_rest)

    (told,) = catalog.told
    assert told["event_details"]["event_id"] == RUN
    assert [asset["id"] for asset in told["uses_assets"]] == ["n/i"]
    assert [asset["id"] for asset in told["generates_assets"]] == ["n/o"]


async def test_refusals_become_dead_letters_with_what_support_asks_for(
    mirror: Mirror, backend: Any, tokens_file: Path
) -> None:
    backend.cursed = {"orders.load"}
    async with running(mirror, target(backend.url), tokens_file=tokens_file) as here:
        await here.post("airflow", run_event(), run_event(run="00000000-0000-0000-0000-000000000001", job={
            "namespace": "n", "name": "another"}))  # fmt: skip
        await until(here.at_rest)

    (reason, kind) = await mirror.one("SELECT reason, entity_kind FROM dead_letters")
    assert kind == "lineage_run"
    for word in (
        "HTTP 500",
        "could not be persisted",
        "x-global-transaction-id: support-1",
        "trace: trace-1",
        "8 times",
    ):
        assert word in reason
    assert [event["job"]["name"] for event in backend.events] == ["another"]


@pytest.mark.parametrize("batches", [True, False])
async def test_ibms_endpoint_gets_batches_of_what_it_can_take(
    mirror: Mirror, events: Events, tokens_file: Path, batches: bool
) -> None:
    backend = PocketBackend(ibm=True, token="ibm-token")
    options: dict[str, Any] = {"dialect": "ibm", "batch_max": 100 if batches else 1}
    async with serve(backend) as url:
        made = target(url, token="ibm-token", options=options)
        async with running(mirror, made, tokens_file=tokens_file) as here:
            here.relay.lanes[0].set_paused(True)
            facet = {"_producer": "urn:x", "_schemaURL": "urn:y", "fields": {}, "dataset": []}
            output = {"namespace": "n", "name": "o", "facets": {"columnLineage": facet}}
            await here.post("airflow", run_event("START"), run_event("COMPLETE", outputs=[output]))
            await here.post("airflow", {"eventTime": "2026-05-10T15:04:15Z", "producer": "urn:x", "dataset": {
                "namespace": "n", "name": "d"}})  # fmt: skip
            await here.take(events.lineage("e1"), events.lineage("e2", event_type="x" * 10))
            here.relay.lanes[0].set_paused(False)
            await until(here.at_rest)

    assert sorted(backend.states()) == ["COMPLETE"] * 3 + ["START"] * 3
    assert backend.states(RUN) == ["START", "COMPLETE"]
    assert any(isinstance(call, list) and len(call) > 1 for call in backend.calls)
    assert await mirror.one("SELECT count(*) FROM dead_letters") == 0


async def test_one_bad_event_of_a_batch_is_found_and_the_rest_arrives(
    mirror: Mirror, events: Events, backend: Any
) -> None:
    made = target(backend.url, options={"batch_path": "/api/v1/lineage/batch"})
    async with running(mirror, made) as here:
        here.relay.lanes[0].set_paused(True)
        backend.ibm = True  # our own facet is what it cannot take
        await here.take(events.lineage("e1"), events.lineage("e2"))
        here.relay.lanes[0].set_paused(False)
        await until(here.at_rest)
        assert await mirror.one("SELECT count(*) FROM dead_letters") == 2
        backend.ibm = False
        await here.take(events.lineage("e3"), events.lineage("e4"))
        await until(here.at_rest)

    assert len(backend.events) == 4


@pytest.mark.parametrize("batch_path", [None, "/many"])
async def test_the_plan_shows_what_would_be_posted_and_posts_nothing(
    mirror: Mirror, events: Events, backend: Any, batch_path: str | None
) -> None:
    made = target(backend.url, options={"batch_path": batch_path} if batch_path else {})
    assert made
    async with running(mirror, made) as here:
        here.relay.lanes[0].set_paused(True)
        await here.take(events.lineage("e1"), events.lineage("e2"))
        async with mirror.store.read() as connection:
            batch = await deliveries.peek(connection, mirror.store, "openlineage", 10)
        plan = await made.plan(batch)
        assert backend.calls == []
        bodies = [json.loads(one.body) for one in plan]
        told = bodies[0] if batch_path else bodies
        assert [event["eventType"] for event in told] == ["START", "COMPLETE"] * 2
        assert {one.to for one in plan} == {f"POST {backend.url}{batch_path or '/api/v1/lineage'}"}
        here.relay.lanes[0].set_paused(False)
        backend.failures = [400] if batch_path else []
        await until(here.at_rest)


async def test_a_wrong_token_or_place_waits_and_says_so(
    mirror: Mirror, events: Events, backend: Any, tmp_path: Path
) -> None:
    backend.token = "right"
    path = tmp_path / "token"
    path.write_text("wrong\n", encoding="utf-8")
    async with running(mirror, target(backend.url, token_file=path)) as here:
        await here.take(events.lineage("e1"))
        await until(lambda: here.relay.lanes[0].notice)
        assert "does not accept our token" in str(here.relay.lanes[0].notice)
        path.write_text("right\n", encoding="utf-8")
        await until(here.at_rest)

    assert backend.states() == ["START", "COMPLETE"]


async def test_a_page_for_people_is_no_success(mirror: Mirror, events: Events, backend: Any) -> None:
    backend.pages = 1
    async with running(mirror, target(backend.url)) as here:
        await here.take(events.lineage("e1"))
        await until(here.at_rest)

    assert backend.states() == ["START", "COMPLETE"]
    assert len(backend.calls) == 3


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"via": "amqp"}, "VIA"), ({"options": {"dialekt": "ibm"}}, "dialekt"), ({"options": {"path": "x"}}, "path"),
        ({"token_file": Path("/nowhere")}, "TOKEN_FILE"),
    ],
)  # fmt: skip
def test_settings_that_it_cannot_use_are_refused(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingInvalid, match=word):
        target("http://localhost", **settings)


def test_it_is_on_where_a_url_is_set_and_more_than_once_by_kind() -> None:
    url = "http://localhost"
    targets = {
        "openlineage": TargetSettings(url=url), "datahub": TargetSettings(url=url, kind="openlineage"),
        "catalog_lineage": TargetSettings(via="off"), "quiet": TargetSettings(kind="openlineage"),
    }  # fmt: skip

    assert [made.name for made in installed_targets(Settings(targets=targets))] == ["openlineage", "datahub"]
    with pytest.raises(SettingInvalid, match="KIND"):
        installed_targets(Settings(targets={"x": TargetSettings(kind="nothing")}))


async def test_the_python_clients_transport_posts_to_us(mirror: Mirror, tokens_file: Path) -> None:
    async with running(mirror, tokens_file=tokens_file) as here:
        await asyncio.to_thread(emit, here.url)

    assert await mirror.one("SELECT event_id, event_type FROM lineage_events") == (RUN, "JOB_COMPLETED")
    assert await mirror.all("SELECT asset_id, role FROM lineage_edges ORDER BY role") == [
        ("n/o", "generates"), ("n/i", "uses"),
    ]  # fmt: skip


def emit(url: str) -> None:
    config = {
        "type": "http",
        "url": url,
        "compression": "gzip",
        "auth": {"type": "api_key", "apiKey": TOKENS["airflow"]},
    }
    client = OpenLineageClient(transport=HttpTransport(HttpConfig.from_dict(config)))
    for state, sets in (
        (RunState.START, {"inputs": [InputDataset("n", "i")]}),
        (RunState.COMPLETE, {"outputs": [OutputDataset("n", "o")]}),
    ):
        client.emit(
            RunEvent(eventTime="2026-05-10T15:04:15Z", run=Run(RUN), job=Job("ns", "job"), eventType=state, **sets)
        )
    client.close()


@pytest.mark.parametrize("named", [True, False])
async def test_two_mirrors_that_face_each_other_come_to_rest(
    tmp_path: Path, opened: Any, events: Events, tokens_file: Path, named: bool
) -> None:
    """Where the token is named like the target nothing goes back; where it is not, what comes back is known."""
    calls = {"one": 0, "two": 0}
    async with (
        opened(f"sqlite:///{tmp_path / 'one.db'}") as first,
        opened(f"sqlite:///{tmp_path / 'two.db'}") as second,
        counted(calls, "one") as one_proxy,
        counted(calls, "two") as two_proxy,
    ):
        options = {"sources": ["operator"]} if named else {}
        to_two = target(two_proxy.url, token=TOKENS["operator"], options=options)
        to_one = target(one_proxy.url, token=TOKENS["operator"], options=options)
        async with (
            running(first, to_two, tokens_file=tokens_file) as one,
            running(second, to_one, tokens_file=tokens_file) as two,
        ):
            one_proxy.behind, two_proxy.behind = one.url, two.url
            await one.take(events.lineage("e1", generates=["a2"]), events.profile())
            await one.post("airflow", run_event("START"), run_event("COMPLETE"))
            await until(lambda: calls["two"] >= 4 + 2)
            await until(one.at_rest)
            await until(two.at_rest)
            settled = dict(calls)
            await asyncio.sleep(0.5)
            assert (await one.at_rest(), await two.at_rest(), calls) == (True, True, settled)

        assert calls["one"] == (0 if named else 4)
        for kept in ("SELECT event_id, event_type FROM lineage_events WHERE NOT own ORDER BY 1",
                     "SELECT openlineage_id FROM openlineage_events ORDER BY 1"):  # fmt: skip
            assert await first.all(kept) == await second.all(kept)


class Proxy:
    """Passes calls on and counts them."""

    url = ""
    behind = ""


@asynccontextmanager
async def counted(calls: dict[str, int], name: str) -> AsyncIterator[Proxy]:
    from aiohttp import web

    proxy = Proxy()

    async def forward(request: web.Request) -> web.Response:
        calls[name] += 1
        headers = {"Authorization": request.headers["Authorization"], "Content-Type": "application/json"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.post(proxy.behind + request.path, data=await request.read()) as answer:
                return web.Response(status=answer.status, body=await answer.read())

    app = web.Application()
    app.router.add_post("/{path:.*}", forward)
    async with listening(app, "127.0.0.1", 0, "") as port:
        proxy.url = f"http://127.0.0.1:{port}"
        yield proxy
