"""Every state that was the row stays, with when it was valid; whatever the order of arrival, on either store."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings

from service.changes import (
    AssetDeleted,
    AssetSaved,
    Container,
    ContainerDeleted,
    ContainerSaved,
    LineageEdge,
    LineageRecorded,
    Origin,
    Rank,
    ThingSaved,
    Version,
)
from service.errors import QueryInvalid
from service.events.cards import read_card
from service.events.message import Message
from service.mirror import history, writer
from service.mirror.purge import purge
from service.mirror.retention import prune
from service.mirror.tables import HISTORIES
from service.queries import as_of, views
from service.settings.model import RetentionSettings, ScopeSettings
from service.settings.scope import Scope
from service.text.documents import digest_of, document
from tests.integration.mirror.test_any_order import Ways, ways

if TYPE_CHECKING:
    from service.pipeline.pipeline import Pipeline
    from tests.integration.conftest import Events, Mirror

INTERVALS = (
    "SELECT profile_id, status, valid_from, valid_to FROM v1_data_profiles_history ORDER BY profile_id, valid_from"
)


def at(second: int) -> str:
    return f"2026-05-10T15:04:{second:02d}Z"


def profile(events: Events, second: int, status: str, verb: str = "PATCH") -> Message:
    state = {
        "metadata": {"guid": "p1", "dataset_id": "a1", "catalog_id": "c1"},
        "entity": {"data_profile": {"execution": {"status": status}}},
    }
    return events.profile(verb=verb, published=at(second), state=state)


def keeping(mirror: Mirror) -> Pipeline:
    return mirror.pipeline(histories=True)


async def seconds(mirror: Mirror) -> list[tuple[Any, ...]]:
    """The intervals of the profile: its status, and the seconds from which and until which it had that."""
    return [
        (status, str(begins)[17:19], str(ends)[17:19] if ends else None)
        for _, status, begins, ends in await mirror.all(INTERVALS)
    ]


async def test_each_state_has_the_interval_until_the_next(mirror: Mirror, events: Events) -> None:
    pipeline = keeping(mirror)
    for second, status in ((10, "running"), (20, "finished"), (30, "failed")):
        await pipeline.process([profile(events, second, status)], Origin.LIVE)

    assert await seconds(mirror) == [("running", "10", "20"), ("finished", "20", "30"), ("failed", "30", None)]


async def test_a_state_that_comes_late_gets_its_place_between_its_neighbours(mirror: Mirror, events: Events) -> None:
    pipeline = keeping(mirror)
    for second, status in ((10, "running"), (30, "failed"), (20, "finished")):
        await pipeline.process([profile(events, second, status)], Origin.LIVE)

    assert await seconds(mirror) == [("running", "10", "20"), ("finished", "20", "30"), ("failed", "30", None)]
    assert await mirror.one("SELECT status FROM v1_data_profiles") == "failed"


async def test_states_that_one_batch_overtakes_are_kept(mirror: Mirror, events: Events) -> None:
    told = [profile(events, second, status) for second, status in ((20, "b"), (10, "a"), (30, "c"), (25, "d"))]
    await keeping(mirror).process(told, Origin.LIVE)

    assert await seconds(mirror) == [("a", "10", "20"), ("b", "20", "25"), ("d", "25", "30"), ("c", "30", None)]


async def test_a_deletion_ends_an_interval_and_a_restore_begins_one(mirror: Mirror, events: Events) -> None:
    pipeline = keeping(mirror)
    await pipeline.process([profile(events, 10, "a")], Origin.LIVE)
    await pipeline.process([profile(events, 20, "a", "DELETE")], Origin.LIVE)
    assert await seconds(mirror) == [("a", "10", "20")]

    await pipeline.process([profile(events, 40, "b")], Origin.LIVE)
    assert await seconds(mirror) == [("a", "10", "20"), ("b", "40", None)]


async def test_without_the_setting_nothing_is_kept(mirror: Mirror, events: Events) -> None:
    await mirror.pipeline().process([profile(events, 10, "a"), profile(events, 20, "b")], Origin.LIVE)

    assert await mirror.all(INTERVALS) == []


async def test_secrets_are_as_blank_in_the_history_as_in_the_row(mirror: Mirror, events: Events) -> None:
    state = {"metadata": {"guid": "p1", "dataset_id": "a1", "access_token": "hunter2"}}
    await keeping(mirror).process([events.profile(state=state)], Origin.LIVE)

    (document,) = (await mirror.one("SELECT document FROM data_profiles_history"),)
    assert document
    assert "hunter2" not in document


async def kept(mirror: Mirror) -> dict[str, list[Any]]:
    """Every history, leaving aside when its rows were written."""
    async with mirror.store.read() as connection:
        found = {}
        for kind, table in HISTORIES.items():
            columns = [column for column in table.c if column.name != "mirrored_at"]
            rows = [tuple(row) for row in await connection.execute(sa.select(*columns))]
            found[kind] = sorted(rows, key=repr)
    return found


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(way=ways())
async def test_any_order_repetition_and_batching_ends_in_the_same_history_on_either_store(
    both: list[Mirror], way: Ways
) -> None:
    found = []
    for mirror in both:
        for batches in way:
            await mirror.clear()
            pipeline = keeping(mirror)
            for batch in batches:
                await pipeline.process(batch, Origin.LIVE)
            found.append(await kept(mirror))
            intervals = await mirror.all(INTERVALS)
            assert all(ends is None or begins < ends for _, _, begins, ends in intervals)
    assert found.count(found[0]) == len(found) == 4


async def test_histories_begin_with_what_is_mirrored_already(mirror: Mirror, events: Events) -> None:
    await mirror.pipeline().process([profile(events, 10, "a")], Origin.LIVE)

    while not await history.go_round(mirror.store):
        pass
    assert await seconds(mirror) == [("a", "10", None)]

    await keeping(mirror).process([profile(events, 20, "b")], Origin.LIVE)
    assert await seconds(mirror) == [("a", "10", "20"), ("b", "20", None)]


async def test_what_a_replica_without_the_setting_wrote_is_found_by_going_round(mirror: Mirror, events: Events) -> None:
    while not await history.go_round(mirror.store):
        pass
    await mirror.pipeline().process([profile(events, 10, "a")], Origin.LIVE)
    for _ in range(2 * len(HISTORIES)):
        await history.go_round(mirror.store)

    assert await seconds(mirror) == [("a", "10", None)]


async def test_what_ended_before_the_horizon_goes_and_what_held_then_stays(mirror: Mirror, events: Events) -> None:
    await keeping(mirror).process([profile(events, 10, "a"), profile(events, 20, "b")], Origin.LIVE)

    assert await prune(mirror.store, RetentionSettings(history_s=60)) == {"data_profiles_history": 1}
    assert await seconds(mirror) == [("b", "20", None)]
    assert await prune(mirror.store, RetentionSettings(history_s=60)) == {}


async def test_what_leaves_the_scope_leaves_the_history(mirror: Mirror, events: Events) -> None:
    await keeping(mirror).process([profile(events, 10, "a"), profile(events, 20, "b")], Origin.LIVE)

    await purge(mirror.store, Scope(ScopeSettings(exclude=["catalog:c1"])))

    assert await mirror.one("SELECT count(*) FROM data_profiles_history") == 0


async def test_a_reading_is_told_as_one_and_what_no_moment_is_known_of_has_no_history(mirror: Mirror) -> None:
    where = Container("project", "pr1")
    told = [
        ThingSaved("job", "j1", Version(None, Rank.LISTED, b"1" * 16), document({"n": 1}), container=where),
        ThingSaved("job", "j1", Version(10_000_000, Rank.READ, b"2" * 16), document({"n": 2}), container=where),
        ThingSaved("job", "j1", Version(20_000_000, Rank.EVENT, b"3" * 16), document({"n": 3}), container=where),
    ]
    for change in told:
        async with mirror.store.write() as connection:
            await writer.apply(connection, [(0, change)], Origin.SYNC, histories=True)

    rows = await mirror.all("SELECT document, is_exact FROM v1_jobs_history ORDER BY valid_from")
    assert [(json.loads(document)["n"], bool(is_exact)) for document, is_exact in rows] == [(2, False), (3, True)]


def card(asset_id: str, at_s: int, name: str, mode: int = 0) -> AssetSaved:
    version = Version(at_s * 1_000_000, Rank.EVENT, digest_of(f"{name}{mode}".encode()))
    where = Container("catalog", "c1")
    return AssetSaved(asset_id, version, document({"name": name}), where, name=name, visibility_mode=mode)


async def written(mirror: Mirror, *changes: Any) -> None:
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate(changes), histories=True)


async def names_at(mirror: Mirror, second: int, query: str = "SELECT name FROM v1_assets ORDER BY name") -> list[Any]:
    found = await as_of.ask(mirror.store, datetime.fromtimestamp(second, UTC), query, 100)
    return [row[0] for row in found.rows]


async def test_the_views_say_what_they_said_then(mirror: Mirror) -> None:
    gone = AssetDeleted("a2", Version(30_000_000, Rank.DELETED))
    await written(mirror, card("a1", 10, "old"), card("a1", 20, "new"), card("a2", 15, "other"), gone)

    assert await names_at(mirror, 9) == []
    assert await names_at(mirror, 10) == ["old"]
    assert await names_at(mirror, 19) == ["old", "other"]
    assert await names_at(mirror, 25) == ["new", "other"]
    assert await names_at(mirror, 30) == ["new"]
    assert await mirror.all("SELECT name FROM v1_assets") == [("new",)], "the present is uncovered again"


async def test_what_was_in_a_container_that_was_deleted_later_is_shown_until_then(mirror: Mirror) -> None:
    where = Container("catalog", "c1")
    made = ContainerSaved(where, Version(5_000_000, Rank.EVENT), document({}), name="c")
    gone = ContainerDeleted(where, Version(30_000_000, Rank.DELETED))
    await written(mirror, made, card("a1", 10, "one"), gone)

    assert await names_at(mirror, 20) == ["one"]
    assert await names_at(mirror, 30) == []


async def test_what_was_hidden_then_or_is_hidden_now_is_not_shown(mirror: Mirror) -> None:
    await written(mirror, card("a1", 10, "secret", 16), card("a1", 20, "public"))
    await written(mirror, card("a2", 10, "public"), card("a2", 20, "secret", 8))

    assert await names_at(mirror, 15) == []
    assert await names_at(mirror, 25) == ["public"]
    rows = await mirror.all("SELECT asset_id, name FROM v1_assets_history")
    assert rows == [("a1", "public")]


def table(second: int, *columns: str, term: str = "t1") -> AssetSaved:
    """A table as the catalog tells it at a moment."""
    told = {
        "metadata": {"asset_id": "a1", "name": "orders", "asset_type": "data_asset"},
        "entity": {
            "data_asset": {"columns": [{"name": name} for name in columns]},
            "asset_terms": {"list": [{"term_id": term, "term_display_name": term}]},
        },
    }
    return read_card(told, Container("catalog", "c1"), second * 1_000_000, Rank.EVENT).saved()


async def test_columns_and_terms_are_as_the_document_of_that_moment_says(mirror: Mirror) -> None:
    await written(mirror, table(10, "id", "email"), table(20, "id", "phone", term="t2"))
    columns, terms = "SELECT name FROM v1_asset_columns ORDER BY position", "SELECT term_id FROM v1_asset_terms"

    assert await names_at(mirror, 9, columns) == []
    assert await names_at(mirror, 15, columns) == ["id", "email"]
    assert await names_at(mirror, 25, columns) == ["id", "phone"]
    assert (await names_at(mirror, 15, terms), await names_at(mirror, 25, terms)) == (["t1"], ["t2"])
    joined = "SELECT c.name FROM v1_asset_columns c JOIN v1_assets a ON a.asset_id = c.asset_id WHERE c.name = 'email'"
    assert await names_at(mirror, 15, joined) == ["email"]
    assert await mirror.all("SELECT name FROM v1_asset_columns ORDER BY position") == [("id",), ("phone",)]
    assert await mirror.one("SELECT count(*) FROM asset_columns") == 2


async def test_lineage_is_what_was_told_until_that_moment(mirror: Mirror) -> None:
    edges = "SELECT event_id FROM v1_lineage_edges WHERE asset_id = 'a1' ORDER BY event_id"
    used = (LineageEdge("a1", "uses"),)
    for second, event_id in ((10, "e1"), (20, "e2")):
        version = Version(second * 1_000_000, Rank.EVENT, event_id.encode())
        change = LineageRecorded(event_id, version, document({}), edges=used)
        await written(mirror, change)
    assert (await names_at(mirror, 15, edges), await names_at(mirror, 25, edges)) == (["e1"], ["e1", "e2"])


async def test_in_a_schema_of_its_own_the_past_is_found_too(
    empty_postgres_url: str, opened: Callable[..., AbstractAsyncContextManager[Mirror]]
) -> None:
    async with opened(empty_postgres_url, schema="mirror_of_mine") as mirror:
        await written(mirror, card("a1", 10, "old"), card("a1", 20, "new"))
        assert await names_at(mirror, 15) == ["old"]
        await written(mirror, table(30, "id", "email"), table(40, "id"))
        assert await names_at(mirror, 35, "SELECT count(*) FROM v1_asset_columns") == [2]


async def test_every_view_with_a_history_can_be_asked(mirror: Mirror) -> None:
    for view in as_of.ASKED:
        assert await names_at(mirror, 10, f"SELECT * FROM {view}") == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT * FROM v1_usage", "known of now alone"),
        ("SELECT nothing FROM v1_assets", "nothing"),
        ("SELEKT", "SELEKT"),
        ("DELETE FROM audit_log", "read"),
        ("SELECT 1; SELECT 2", "one statement|multiple commands"),
        ("", "no rows"),
    ],
)
async def test_a_query_that_cannot_be_answered_is_refused(mirror: Mirror, query: str, says: str) -> None:
    with pytest.raises(QueryInvalid, match=says):
        await names_at(mirror, 10, query)
    await written(mirror, card("a1", 10, "one"))
    assert await names_at(mirror, 10) == ["one"], "the store goes on"


@pytest.mark.parametrize("view", ["v1_assets_history"])
async def test_pages_of_a_history_follow_each_other(mirror: Mirror, view: str) -> None:
    await written(mirror, *(card(f"a{n % 2}", n, f"name {n}") for n in range(1, 6)))
    found, cursor = [], None
    async with mirror.store.read() as connection:
        while True:
            page = await views.page(connection, view, columns=["name"], limit=2, cursor=cursor)
            found += [row[0] for row in page.rows]
            if (cursor := page.next) is None:
                break
    assert found == ["name 2", "name 4", "name 1", "name 3", "name 5"]
