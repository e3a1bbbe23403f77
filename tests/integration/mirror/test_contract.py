"""What the catalog sends: every replica's shapes add up, and what is not as it was is told, without values."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from service.changes import Origin
from service.errors import StoreUnavailable
from service.events.message import Message
from service.mirror import contract
from service.operations import contract as operations
from service.operations.acting import Act, Way
from service.process.contracting import Contracting
from service.settings.model import ContractSettings
from service.telemetry.metrics import Metrics
from service.text.shapes import Shapes

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror

SOURCE = "event v2.things.*.POST"
ACT = Act("dana", Way.COMMAND, "looked at")
WEEK_S = 7 * 86_400


async def learn(mirror: Mirror, *values: Any, source: str = SOURCE, learn_s: float = WEEK_S) -> None:
    shapes = Shapes(1)
    for value in values:
        shapes.learn(source, value)
    async with mirror.store.writing() as connection:
        await contract.merge(connection, shapes.take(), learn_s)


async def told(mirror: Mirror) -> list[tuple[str, str, str, str]]:
    return [(one.path, one.what, one.before, one.types) for one in await operations.report(mirror.store)]


async def normal(mirror: Mirror, *values: Any) -> None:
    await learn(mirror, *values)
    await operations.accept(mirror.store, ACT)


async def test_what_is_new_gone_or_of_another_type_is_told_until_it_is_accepted(mirror: Mirror) -> None:
    await normal(mirror, *[{"a": 1, "b": "x", "c": {"d": 1}}] * 10)
    assert await told(mirror) == []

    await learn(mirror, *[{"a": "one", "b": "x", "e": {"f": [1]}}] * 40)
    assert await told(mirror) == [
        ("a", "retyped", "number", "text"),
        ("c", "gone", "object", ""),
        ("e", "new", "", "object"),
    ]

    assert len(await operations.accept(mirror.store, ACT)) == 3
    assert await told(mirror) == []
    detail = await mirror.one("SELECT detail FROM audit_log ORDER BY seq DESC LIMIT 1")
    assert json.loads(detail) == {"way": "command", "topic": 0, "new": 1, "gone": 1, "retyped": 1}


async def test_while_it_learns_everything_is_normal(mirror: Mirror) -> None:
    await learn(mirror, *[{"a": 1}] * 99, learn_s=0)
    await learn(mirror, {"a": 1, "b": 1}, learn_s=0)
    assert await told(mirror) == []

    await learn(mirror, {"a": 1, "c": 1}, learn_s=0)
    assert await told(mirror) == [("c", "new", "", "number")]


async def test_what_stands_in_few_samples_takes_long_to_be_missed(mirror: Mirror) -> None:
    await normal(mirror, *[{"a": 1, "rare": 1}, *[{"a": 1}] * 9] * 10)
    await learn(mirror, *[{"a": 1}] * 250)
    assert await told(mirror) == []
    await learn(mirror, *[{"a": 1}] * 60)
    assert await told(mirror) == [("rare", "gone", "number", "")]


async def test_a_topic_that_came_when_others_were_learnt_is_told_as_one(mirror: Mirror) -> None:
    await normal(mirror, {"a": 1})
    await learn(mirror, {"x": {"y": 1}}, source="event v2.other.*.POST")
    (found,) = await operations.report(mirror.store)
    assert (found.source, found.what, found.path) == ("event v2.other.*.POST", "topic", "")


async def test_what_replicas_learn_is_added_up(mirror: Mirror) -> None:
    await asyncio.gather(*(learn(mirror, *[{"a": 1, f"b{n}": 1}] * 5) for n in range(4)))
    assert await mirror.one("SELECT samples FROM contract_sources") == 20
    assert await mirror.one("SELECT seen FROM contract_paths WHERE path = 'a'") == 20
    assert await mirror.one("SELECT count(*) FROM contract_paths") == 5


async def test_the_store_keeps_so_many_sources_and_no_more(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "MAX_SOURCES", 2)
    monkeypatch.setattr(contract, "MAX_PATHS", 3)
    for number in range(4):
        await learn(mirror, {"a": 1}, source=f"event {number}")
    await learn(mirror, {"a": 1, "b": 1, "c": 1, "d": 1}, source="event 0")
    assert await mirror.one("SELECT count(*) FROM contract_sources") == 2
    assert await mirror.one("SELECT count(*) FROM contract_paths") == 2


async def test_a_service_learns_of_events_keeps_it_and_counts_what_differs(mirror: Mirror, events: Events) -> None:
    shapes, metrics = Shapes(1), Metrics()
    watching = Contracting(mirror.store, ContractSettings(), shapes, metrics)
    pipeline = mirror.pipeline(shapes=shapes)
    await pipeline.process([events.profile()], Origin.LIVE)
    await watching.keep()
    await operations.accept(mirror.store, ACT)

    state = {"metadata": {"guid": "p1", "dataset_id": "a1", "password": "hunter2", "fresh": 1}}
    unrouted = Message("v2.unheard_of.x1.POST", b"{}")
    await pipeline.process([events.profile(state=state), unrouted], Origin.LIVE)
    await watching.keep()

    found = {(one.source, one.path, one.what) for one in await operations.report(mirror.store)}
    assert ("event v2.data_profiles.*.PATCH", "state.metadata.fresh", "new") in found
    assert ("event v2.unheard_of.*.POST", "", "topic") in found
    assert metrics.registry.get_sample_value("catalog_mirror_contract_changes", {"what": "topic"}) == 1
    rows = await mirror.all("SELECT source, path, type, example FROM contract_paths")
    assert "hunter2" not in str(rows)


async def test_what_a_store_that_is_down_did_not_take_is_kept_later(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = Shapes(1)
    shapes.learn(SOURCE, {"a": 1})
    watching = Contracting(mirror.store, ContractSettings(), shapes, Metrics())

    async def down(*_: Any) -> None:
        raise StoreUnavailable(problem="down", where="there")

    with monkeypatch.context() as patch:
        patch.setattr(contract, "merge", down)
        await watching.keep()
    assert await mirror.one("SELECT count(*) FROM contract_sources") == 0
    await watching.keep()
    assert await mirror.one("SELECT samples FROM contract_sources") == 1
