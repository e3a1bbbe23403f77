"""What a row says after events in an awkward order, and what the views show of it."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from service.changes import AssetSaved, Container, Rank, Version
from service.events.message import Message
from service.mirror import writer
from service.mirror.tables import UtcTime
from service.pipeline.committing import Fate
from service.text import redaction
from service.text.documents import document

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror

pytestmark = pytest.mark.partitioned


async def rows(mirror: Mirror) -> Any:
    """What the profile's document says."""
    return json.loads(await mirror.one("SELECT document FROM data_profiles")).get("rows")


def state(number: int) -> dict[str, Any]:
    return {"rows": number}


async def test_an_older_patch_that_arrives_later_changes_nothing(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.profile(state=state(200), published="2026-05-10T10:00:09Z"))
    outcome = await mirror.take(events.profile(state=state(100), published="2026-05-10T10:00:05Z"))

    assert await rows(mirror) == 200
    assert outcome.fates == {Fate.UNCHANGED: 1}
    assert outcome.deliveries == 1  # each distinct event is answered


async def test_a_state_without_a_time_fills_what_is_unknown_and_never_wins(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.profile(state=None))
    await mirror.take(events.profile(state=state(1), published=None))
    assert await rows(mirror) == 1

    await mirror.take(events.profile(state=state(2), published="1999-01-01"))
    await mirror.take(events.profile(state=state(3), published=None))

    assert await rows(mirror) == 2
    assert await mirror.one("SELECT count(*) FROM refreshes WHERE entity_id = 'p1'") == 1


async def test_events_that_differ_in_details_alone_end_the_same_in_any_order(mirror: Mirror, events: Events) -> None:
    told = [
        {"dataset_id": "a1", "catalog_id": "c1"},
        {"dataset_id": "a2", "project_id": "c1"},
        {"dataset_id": "a2", "catalog_id": "c1"},
    ]
    for verb, fields in (("PATCH", {"state": state(1)}), ("DELETE", {"state": None}), ("POST", {"state": None})):
        ends = []
        for order in itertools.permutations(told):
            await mirror.clear()
            for details in order:
                await mirror.take(events.profile(verb=verb, details=details, **fields))
            ends.append(await mirror.content())
        assert all(end == ends[0] for end in ends)


@pytest.mark.parametrize("together", [True, False])
async def test_two_states_of_one_second_ask_for_a_refresh_two_seconds_later(
    mirror: Mirror, events: Events, together: bool
) -> None:
    first = events.profile(state=state(1), published="2026-05-10T10:00:05Z")
    second = events.profile(state=state(2), published="2026-05-10T10:00:05.900Z")
    for batch in [(first, second)] if together else [(first,), (second,)]:
        await mirror.take(*batch)

    refresh = sa.text("SELECT reason, due_at, asked_at FROM refreshes").columns(due_at=UtcTime(), asked_at=UtcTime())
    reason, due_at, asked_at = await mirror.one(refresh)
    assert (reason, (due_at - asked_at).total_seconds()) == ("same_second", 2.0)
    assert await rows(mirror) == 2


async def test_the_same_state_in_the_same_second_asks_for_nothing(mirror: Mirror, events: Events) -> None:
    for published in ("2026-05-10T10:00:05Z", "2026-05-10T10:00:05.900Z"):
        await mirror.take(events.profile(state={"rows": 1, "href": published}, published=published))

    assert await mirror.one("SELECT count(*) FROM refreshes") == 0


async def test_refreshes_of_one_thing_collapse(mirror: Mirror, events: Events) -> None:
    for _ in range(3):
        await mirror.take(events.profile(state=None))

    assert await mirror.one("SELECT entity_id, times, container_id FROM refreshes") == ("p1", 3, "c1")


async def test_a_deletion_beats_a_state_of_its_moment_and_a_later_state_restores(
    mirror: Mirror, events: Events
) -> None:
    await mirror.take(events.profile(verb="DELETE", published="2026-05-10T10:00:05Z"))
    await mirror.take(events.profile(published="2026-05-10T10:00:05Z"))
    assert await mirror.one("SELECT count(*) FROM v1_data_profiles") == 0
    assert await mirror.one("SELECT document FROM data_profiles") is None

    await mirror.take(events.profile(published="2026-05-10T10:00:06Z"))

    assert await mirror.one("SELECT count(*) FROM v1_data_profiles") == 1


async def test_a_deletion_without_a_time_is_a_tombstone_until_a_time_is_told(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.deletion("a1", None))
    assert await mirror.one("SELECT count(*) FROM v1_assets") == 0

    await mirror.take(events.profile())  # a mention is no news of the asset
    assert await mirror.one("SELECT count(*) FROM v1_assets") == 0


async def test_what_lives_in_a_deleted_asset_or_container_is_not_shown_and_keeps_no_tombstone(
    mirror: Mirror, events: Events
) -> None:
    await mirror.take(events.profile("p1"), events.profile("p2", details={"dataset_id": "a2", "catalog_id": "c2"}))
    assert await mirror.one("SELECT count(*) FROM v1_data_profiles") == 2

    await mirror.take(events.deletion("a1"))
    assert await mirror.all("SELECT profile_id FROM v1_data_profiles") == [("p2",)]
    await mirror.execute("UPDATE containers SET deleted_at = mirrored_at WHERE container_id = 'c2'")

    assert await mirror.all("SELECT profile_id FROM v1_data_profiles") == []
    assert await mirror.all("SELECT asset_id FROM v1_assets") == []
    assert await mirror.all("SELECT container_id FROM v1_containers") == [("c1",)]
    assert await mirror.one("SELECT count(*) FROM data_profiles WHERE deleted_at IS NOT NULL") == 0


@pytest.mark.parametrize(("mode", "shown"), [(None, 1), (0, 1), (1, 1), (8, 0), (16, 0)])
async def test_assets_that_not_everybody_may_see_are_left_out_of_every_view(
    mirror: Mirror, events: Events, mode: int | None, shown: int
) -> None:
    kept = document({"name": "A"})
    saved = AssetSaved(
        "a1", Version(1, Rank.READ, kept.digest, kept.digest), kept, Container("catalog", "c1"), "A", None, mode
    )
    async with mirror.store.write() as connection:
        await writer.apply(connection, [(0, saved)])
    await mirror.take(events.profile(), events.lineage())

    for view in ("v1_assets", "v1_data_profiles", "v1_lineage_edges WHERE NOT is_own"):
        assert await mirror.one(f"SELECT count(*) FROM {view}") == shown


async def test_edges_belong_to_the_body_that_wins(mirror: Mirror, events: Events) -> None:
    early = events.lineage("e1", "2026-05-10T10:00:05Z", uses=["a1", "a2"])
    late = events.lineage("e1", "2026-05-10T10:00:06Z", uses=["a2"], generates=["a3"])
    for order in ([early, late], [late, early]):
        for split in (True, False):
            await mirror.clear()
            for batch in [[message] for message in order] if split else [order]:
                await mirror.take(*batch)
            edges = await mirror.all("SELECT asset_id, role FROM lineage_edges ORDER BY asset_id")
            assert edges == [("a2", "uses"), ("a3", "generates")]
            assert await mirror.one("SELECT count(*) FROM assets") == 3


async def test_a_stub_with_a_container_beats_one_without(mirror: Mirror, events: Events) -> None:
    with_container = Message(
        "v2.lineage_events.e2.POST",
        b'{"uses_assets":[{"id":"a1","properties":{"dataset":{"value":{"project_id":"c1"}}}}]}',
    )
    for order in ([events.lineage(), with_container], [with_container, events.lineage()]):
        await mirror.clear()
        for message in order:
            await mirror.take(message)
        assert await mirror.one("SELECT container_kind, container_id FROM assets") == ("project", "c1")


async def test_what_a_column_cannot_hold_is_shown_replaced_and_kept_whole_in_the_document(
    mirror: Mirror, events: Events
) -> None:
    hostile = {"entity": {"data_profile": {"execution": {"status": "a\x00b\ud800"}}}, "big": 2**70}
    await mirror.take(events.profile(state=hostile))

    status, text = await mirror.one("SELECT status, document FROM data_profiles")
    assert status == "a\ufffdb\ufffd"
    assert json.loads(text) == hostile


async def test_no_secret_reaches_the_store(mirror: Mirror, events: Events) -> None:
    secret = "hunter2SWORDFISH"
    await mirror.take(
        events.profile(state={"password": secret, "u": f"jdbc:x://u:{secret}@h"}),
        Message("v2.data_profiles.x.POST", b'\xff{"password":"' + secret.encode() + b'"}', {"token": secret}),
        Message("v2.data_profiles.x.POST", json.dumps({"details": {"catalog_id": 3}, "pwd": secret}).encode()),
        Message("v2.data_profiles.x.POST", json.dumps({"state": {}, "published": f"password={secret}"}).encode()),
    )

    for table in ("data_profiles", "dead_letters", "lineage_events"):
        for row in await mirror.all(f"SELECT * FROM {table}"):
            assert secret not in str(row)
    assert await mirror.one("SELECT count(*) FROM dead_letters WHERE blanked") == 3


async def test_nor_does_what_a_word_that_is_set_betrays(
    mirror: Mirror, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "hunter2SWORDFISH"
    monkeypatch.setattr(redaction, "_known", redaction._known)  # as it was, afterwards
    redaction.know(["Geheim-Zahl"])
    await mirror.take(
        events.profile(state={"geheim_zahl": secret, "deep": [{"konto.GEHEIMZAHL": {"x": secret}}]}),
        Message("v2.data_profiles.x.POST", b'\xff{"Geheimzahl":"' + secret.encode() + b'"}', {"geheimzahl": secret}),
    )
    for table in ("data_profiles", "dead_letters"):
        rows = await mirror.all(f"SELECT * FROM {table}")
        assert len(rows) == 1
        assert secret not in str(rows)
