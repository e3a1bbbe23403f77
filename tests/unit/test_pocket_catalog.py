"""The pocket catalog's state: what users do to it, what searching sees, what is told on the broker."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from typing import Any

import msgspec
import pytest

from sandbox.catalog.cards import may_find
from sandbox.catalog.clock import Clock, SteppingClock, iso_millis, iso_seconds, parse_time
from sandbox.catalog.feed import Mischief, Scrambler
from sandbox.catalog.generator import ANY, Wanted
from sandbox.catalog.history import random_history
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.problems import Problem
from sandbox.catalog.relationships import End
from sandbox.catalog.shapes import CLEAR_SECRET
from sandbox.catalog.tables import AWKWARD_COLUMN


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def catalog(clock: SteppingClock) -> PocketCatalog:
    return PocketCatalog(seed=7, assets=200, clock=clock)


@pytest.fixture
def events(catalog: PocketCatalog) -> list[tuple[str, dict[str, Any]]]:
    said: list[tuple[str, dict[str, Any]]] = []
    catalog.sink = lambda key, body: said.append((key, json.loads(body)))
    return said


def everything(catalog: PocketCatalog) -> bytes:
    """The whole truth as bytes."""
    return msgspec.json.encode(
        [
            list(catalog.true_assets()),
            [(kind, where, record.asset_id) for kind, where, record in catalog.true_trash()],
            [msgspec.to_builtins(edge) for edge in catalog.true_relationships()],
            [msgspec.to_builtins(artifact) for artifact in catalog.true_artifacts()],
            [msgspec.to_builtins(member) for member in catalog.true_members()],
            catalog.lists.all(),
            [event.body for event in catalog.true_lineage()],
        ]
    )


def first_asset(catalog: PocketCatalog, asset_type: str = "data_asset", kind: str = "catalog") -> str:
    found = (card["metadata"] for where, _, card in catalog.true_assets() if where == kind)
    return next(str(metadata["asset_id"]) for metadata in found if metadata["asset_type"] == asset_type)


def card(catalog: PocketCatalog, asset_id: str) -> dict[str, Any]:
    return catalog.assets.live(asset_id).card


def found(catalog: PocketCatalog, container_id: str, wanted: Wanted = ANY) -> set[str]:
    """What a search finds, page by page."""
    ids: set[str] = set()
    place = 0
    while True:
        cards, place = catalog.index.page(container_id, wanted, place, 7)
        ids |= {one["metadata"]["asset_id"] for one in cards}
        if len(cards) < 7:
            return ids


def test_the_same_seed_gives_the_same_catalog_and_another_one_does_not() -> None:
    assert everything(PocketCatalog(3, 150)) == everything(PocketCatalog(3, 150))
    assert everything(PocketCatalog(3, 150)) != everything(PocketCatalog(4, 150))


def test_a_random_history_repeats_for_its_seed() -> None:
    first, second = (PocketCatalog(1, 120, clock=SteppingClock()) for _ in range(2))
    done = random_history(first, 1500, seed=9)

    assert done == random_history(second, 1500, seed=9)
    assert everything(first) == everything(second)
    assert len(done) > 25


def test_no_two_things_have_the_same_id_after_a_history() -> None:
    catalog = PocketCatalog(2, 300, clock=SteppingClock())
    random_history(catalog, 2000, seed=2)
    assets = [one["metadata"]["asset_id"] for _, _, one in catalog.true_assets()]
    attachments = [part["id"] for _, _, one in catalog.true_assets() for part in one.get("attachments", [])]
    profiles = [one["metadata"]["guid"] for _, _, one in catalog.true_profiles()]

    for ids in (assets, attachments, profiles):
        assert len(ids) == len(set(ids)) > 50


@pytest.mark.parametrize("seed", range(4))
def test_after_any_history_searching_finds_exactly_what_is_there(seed: int) -> None:
    catalog = PocketCatalog(seed, 150, clock=SteppingClock())
    random_history(catalog, 1200, seed)

    truth: Counter[tuple[str, Wanted]] = Counter()
    ids: dict[str, set[str]] = {}
    for _, where, one in catalog.true_assets():
        assert one["metadata"]["asset_attributes"] == list(one["entity"])
        if may_find(one):
            ids.setdefault(where, set()).add(one["metadata"]["asset_id"])
            asset_type = one["metadata"]["asset_type"]
            for attribute in (None, *one["entity"]):
                truth[where, Wanted(attribute)] += 1
                truth[where, Wanted(attribute, asset_type)] += 1
    for container in catalog.true_containers():
        assert found(catalog, container.id) == ids.get(container.id, set())
        for attribute in (None, "data_asset", "asset_terms", "data_profile", "review_state", "book"):
            for wanted in (Wanted(attribute), Wanted(attribute, "data_asset"), Wanted(attribute, "book")):
                assert catalog.index.total(container.id, wanted) == truth[container.id, wanted]
                assert len(found(catalog, container.id, wanted)) == truth[container.id, wanted]


def test_a_million_assets_need_no_more_memory_than_ten() -> None:
    def used(assets: int) -> int:
        tracemalloc.start()
        try:
            catalog = PocketCatalog(1, assets)
            container_id = catalog.container_ids("catalog")[0]
            place = 0
            for _ in range(3):
                _, place = catalog.index.page(container_id, ANY, place, 200)
            catalog.index.page(container_id, ANY, assets // 3, 200)
            assert catalog.index.total(container_id, ANY) == assets // 2
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    assert used(1_000_000) < used(1000) + 2_000_000


def test_a_small_catalog_has_something_of_every_trap() -> None:
    catalog = PocketCatalog(1, 100)
    cards = [one for _, _, one in catalog.true_assets()]
    text = msgspec.json.encode(cards)

    assert CLEAR_SECRET.encode() in text
    assert b"{wdpaes}" in text
    assert any(one["metadata"]["created"] == 0 and one["metadata"]["created_at"] for one in cards)
    assert any(one["metadata"]["rov"]["mode"] == 8 for one in cards)
    forms = {type(one["metadata"]["rov"]["collaborator_ids"]) for one in cards}
    assert forms == {list, dict}
    data_assets = [one["entity"]["data_asset"] for one in cards if "data_asset" in one["entity"]]
    assert any(not one["dataset"] and one.get("columns") for one in data_assets)
    assert any(AWKWARD_COLUMN in one["entity"].get("column_info", {}) for one in cards)
    assert any(isinstance(one["entity"].get("column_attribute", {}).get("columns"), dict) for one in cards)
    assert any(isinstance(one["entity"].get("column_level_custom_attribute", {}).get("columns"), list) for one in cards)


def test_without_odd_cards_there_are_only_plain_data_assets() -> None:
    catalog = PocketCatalog(1, 100, odd_cards=False)

    assert CLEAR_SECRET.encode() not in msgspec.json.encode([one for _, _, one in catalog.true_assets()])


def test_ids_lead_back_to_their_numbers_and_foreign_ones_nowhere() -> None:
    ids = Ids(5)

    assert all(ids.index_of(Kind.ASSET, ids.of(Kind.ASSET, number)) == number for number in (0, 1, 999_999))
    assert ids.index_of(Kind.PROFILE, ids.of(Kind.ASSET, 3)) is None
    assert ids.index_of(Kind.ASSET, "zz") is None


def test_a_clock_may_be_five_minutes_off() -> None:
    assert abs(Clock(offset_s=300).now() - Clock().now() - 300) < 5


def test_times_are_written_as_the_catalog_writes_them() -> None:
    at_s = parse_time("2018-11-12T15:32:53.902Z")

    assert iso_millis(at_s) == "2018-11-12T15:32:53.902Z"
    assert iso_seconds(at_s) == "2018-11-12T15:32:53Z"
    assert parse_time("2018-11-12T03:32:53-12") == parse_time("2018-11-12T15:32:53Z")


def test_a_patch_moves_the_update_time_and_keeps_the_version(catalog: PocketCatalog, clock: SteppingClock) -> None:
    asset_id = first_asset(catalog)
    clock.advance(10)
    catalog.patch_asset(asset_id, name="renamed", tags=["a"])

    metadata = card(catalog, asset_id)["metadata"]
    assert (metadata["name"], metadata["tags"], metadata["version"]) == ("renamed", ["a"], 2)
    assert metadata["usage"]["last_updated_at"] == iso_seconds(clock.now())
    assert catalog.statistics.of(asset_id, "EDITS") == 1


@pytest.mark.parametrize("name", ["", "   ", "a/b", "naïve?"])
def test_illegal_names_are_refused(catalog: PocketCatalog, name: str) -> None:
    with pytest.raises(Problem) as refused:
        catalog.patch_asset(first_asset(catalog), name=name)
    assert refused.value.status == 400


def test_reading_changes_nothing_but_the_access_counters(catalog: PocketCatalog) -> None:
    asset_id = first_asset(catalog)
    before = card(catalog, asset_id)
    catalog.read_asset(asset_id)
    after = msgspec.json.decode(msgspec.json.encode(card(catalog, asset_id)))

    assert after["metadata"]["usage"]["access_count"] == 1
    for one in (before, after):
        for key in ("access_count", "last_access_time", "last_accessed_at", "last_accessor_id"):
            del one["metadata"]["usage"][key]
    assert before == after


def test_a_deleted_asset_is_in_the_trash_until_it_is_restored_or_purged(catalog: PocketCatalog) -> None:
    asset_id = first_asset(catalog)
    before = card(catalog, asset_id)
    catalog.delete_asset(asset_id)
    with pytest.raises(Problem):
        catalog.assets.live(asset_id)
    assert asset_id in {record.asset_id for _, _, record in catalog.true_trash()}

    catalog.restore(asset_id)
    assert card(catalog, asset_id) == before

    catalog.delete_asset(asset_id, purge=True)
    assert asset_id not in {record.asset_id for _, _, record in catalog.true_trash()}
    with pytest.raises(Problem):
        catalog.restore(asset_id)


def test_deleting_takes_along_what_a_cascading_relationship_says(catalog: PocketCatalog) -> None:
    container_id = catalog.container_ids("catalog")[0]
    whole, part, friend = (catalog.create_asset(container_id, name) for name in ("whole", "part", "friend"))
    catalog.set_relationship(End(whole), "has_part", End(part))
    catalog.set_relationship(End(whole), "related_to", End(friend))

    assert set(catalog.delete_asset(whole)) == {whole, part}
    assert friend in {one["metadata"]["asset_id"] for _, _, one in catalog.true_assets()}
    assert not [edge for edge in catalog.true_relationships() if End(whole) in (edge.source, edge.target)]

    catalog.restore(whole)
    assert [edge.name for edge in catalog.true_relationships() if edge.source == End(whole)] == ["related_to"]


def test_a_to_one_relationship_replaces_the_one_before(catalog: PocketCatalog) -> None:
    container_id = catalog.container_ids("catalog")[0]
    child, first, second = (catalog.create_asset(container_id, name) for name in ("child", "first", "second"))
    catalog.set_relationship(End(child), "parent", End(first))
    catalog.set_relationship(End(child), "parent", End(second))

    assert [edge.target for edge in catalog.true_relationships() if edge.source == End(child)] == [End(second)]


def test_a_copy_is_a_new_card_that_tells_where_it_came_from(catalog: PocketCatalog) -> None:
    asset_id = first_asset(catalog, kind="project")
    catalog.set_attribute(asset_id, "review_state", {"state": "open"})
    project_id, catalog_id = catalog.assets.live(asset_id).container_id, catalog.container_ids("catalog")[0]
    copy = card(catalog, catalog.publish(asset_id, catalog_id))

    assert copy["metadata"]["asset_id"] != asset_id
    assert copy["metadata"]["source_asset"]["asset_id"] == asset_id
    assert copy["metadata"]["source_asset"]["project_id"] == project_id
    assert copy["metadata"]["source_asset"]["action"] == "publish"
    assert (copy["metadata"]["catalog_id"], "project_id" in copy["metadata"]) == (catalog_id, False)
    assert "review_state" not in copy["entity"]
    assert catalog.statistics.of(asset_id, "PUBLISH_TO_CATALOG") == 1
    with pytest.raises(Problem):
        catalog.clone(asset_id, catalog_id)


def test_copied_connections_lose_their_secrets(catalog: PocketCatalog) -> None:
    project_id, catalog_id = catalog.container_ids("project")[0], catalog.container_ids("catalog")[0]
    properties = {"host": "h", "username": "u", "password": "p"}
    entity = {"connection": {"datasource_type": "d", "context": "source", "properties": properties, "flags": []}}
    connection_id = catalog.create_asset(project_id, "db", "connection", entity=entity)

    copied = card(catalog, catalog.publish(connection_id, catalog_id))["entity"]["connection"]
    assert copied["properties"] == {"host": "h"}


def test_a_deep_copy_takes_related_assets_along(catalog: PocketCatalog) -> None:
    project_id = catalog.container_ids("project")[0]
    whole, part = (catalog.create_asset(project_id, name) for name in ("whole", "part"))
    catalog.set_relationship(End(whole), "has_part", End(part))

    assert set(catalog.deepcopy(whole, catalog.container_ids("catalog")[1])) == {whole, part}


def test_deleting_a_type_cleans_up_in_the_background(catalog: PocketCatalog, clock: SteppingClock) -> None:
    catalog.knobs.background_delay_s = 30
    book, other = first_asset(catalog, "book"), first_asset(catalog)
    catalog.set_attribute(other, "book", {"price": 1})
    catalog.delete_asset_type("book")
    catalog.catch_up()
    assert card(catalog, book)

    clock.advance(31)
    catalog.catch_up()
    assert "book" not in card(catalog, other)["entity"]
    assert not [one for _, _, one in catalog.true_assets() if "book" in one["entity"]]


def test_the_index_lags_behind_by_the_catalogs_clock(catalog: PocketCatalog, clock: SteppingClock) -> None:
    catalog.knobs.index_lag_s = 5
    container_id, gone = catalog.container_ids("catalog")[0], first_asset(catalog)
    before = found(catalog, container_id)
    new = catalog.create_asset(container_id, "new")
    catalog.delete_asset(gone)
    clock.advance(4)
    assert found(catalog, container_id) == before
    assert catalog.index.total(container_id, ANY) == len(before)

    clock.advance(1.1)
    assert found(catalog, container_id) == before - {gone} | {new}
    assert catalog.index.total(container_id, ANY) == len(before)


def test_a_hidden_asset_is_found_by_nobody_but_its_members(catalog: PocketCatalog) -> None:
    asset_id, container_id = first_asset(catalog), catalog.container_ids("catalog")[0]
    catalog.patch_asset(asset_id, rov_mode=16)
    assert asset_id not in found(catalog, container_id)
    assert asset_id in {one["metadata"]["asset_id"] for _, _, one in catalog.true_assets()}
    assert asset_id not in {one["metadata"]["asset_id"] for _, _, one in catalog.true_assets(as_seen=True)}

    catalog.patch_asset(asset_id, member_roles={"iam-ServiceId-0000-mirror": ["VIEWER"]})
    assert asset_id in found(catalog, container_id)


def test_only_documented_events_are_sent(catalog: PocketCatalog, events: list[tuple[str, dict[str, Any]]]) -> None:
    asset_id = first_asset(catalog)
    container_id = catalog.container_ids("catalog")[0]
    catalog.patch_asset(asset_id, name="quiet")
    profile_id = catalog.create_profile(asset_id, start=True)
    catalog.finish_profile(asset_id, profile_id)
    catalog.delete_profile(asset_id, profile_id)
    catalog.delete_asset(asset_id)
    area_id = catalog.create_area(catalog.container_ids("project")[0], "area", [asset_id])
    catalog.create_area(catalog.container_ids("project")[0], "area without a scope")

    assert [key for key, _ in events] == [
        f"v2.data_profiles.{profile_id}.POST",
        f"v2.data_profiles.{profile_id}.PATCH",
        f"v2.metadata_enrichment.{area_id}.create_enrichment_area",
    ]
    created, patched = events[0][1], events[1][1]
    assert (created["event"], created["status_code"]) == ("CREATE_DATA_PROFILE", 201)
    assert (patched["event"], patched["status_code"]) == ("UPDATE_DATA_PROFILE", 200)
    assert created["details"]["catalog_id"] == container_id
    assert patched["state"]["entity"]["data_profile"]["execution"]["status"] == "finished"
    assert len(created["published"]) == len("2015-05-10T15:04:15Z")


def test_the_search_feed_is_sent_where_it_is_switched_on(
    catalog: PocketCatalog, events: list[tuple[str, dict[str, Any]]]
) -> None:
    catalog.knobs.search_feed = True
    asset_id = first_asset(catalog)
    catalog.patch_asset(asset_id, name="loud")
    catalog.delete_asset(asset_id)

    assert [(key, body["message_type"]) for key, body in events] == [
        ("v3.gss.cams.assets.action", "UPDATE_MESSAGE"),
        ("v3.gss.cams.assets.action", "DELETE_MESSAGE"),
    ]


def test_a_finished_profile_changes_the_card_too(catalog: PocketCatalog) -> None:
    asset_id = catalog.create_asset(catalog.container_ids("catalog")[0], "flat")
    profile_id = catalog.create_profile(asset_id)
    catalog.finish_profile(asset_id, profile_id)
    one = card(catalog, asset_id)

    assert one["entity"]["data_asset"]["dataset"] is True
    assert one["entity"]["data_asset"]["columns"]
    assert one["metadata"]["size"] > 0
    assert [attachment["asset_type"] for attachment in one["attachments"]] == ["data_profile"]

    catalog.delete_profile(asset_id, profile_id)
    assert "data_profile" not in card(catalog, asset_id)["entity"]
    assert "attachments" not in card(catalog, asset_id)


def test_a_running_profile_is_not_deleted_unless_it_is_stopped(catalog: PocketCatalog) -> None:
    asset_id = first_asset(catalog)
    profile_id = catalog.create_profile(asset_id, start=True)
    with pytest.raises(Problem):
        catalog.delete_profile(asset_id, profile_id)
    catalog.delete_profile(asset_id, profile_id, stop=True)


def test_publishing_an_artifact_makes_a_new_version(catalog: PocketCatalog) -> None:
    artifact_id = catalog.create_artifact("glossary_term", "Margin")
    version_id = catalog.patch_artifact(artifact_id, description="What is left.")

    assert version_id == f"{artifact_id}_1"
    assert catalog.glossary.get(artifact_id).latest["metadata"]["revision"] == "1"


def test_the_true_state_of_each_kind_can_be_listed(catalog: PocketCatalog) -> None:
    assert len(list(catalog.true_containers())) == 4
    assert {member.kind for _, _, member in catalog.true_members()} == {"user", "group"}
    assert list(catalog.true_profiles())
    assert list(catalog.true_relationships())
    assert {artifact.type for artifact in catalog.true_artifacts()} >= {"glossary_term", "data_class", "policy"}


def test_a_hidden_catalog_is_there_and_not_seen() -> None:
    catalog = PocketCatalog(1, 100, hidden_catalog=True, knobs=Knobs())
    hidden = catalog.container_ids("catalog")[-1]

    assert hidden in {where for _, where, _ in catalog.true_assets()}
    assert hidden not in {where for _, where, _ in catalog.true_assets(as_seen=True)}


def test_a_scrambler_without_mischief_passes_everything_on_in_order() -> None:
    messages = [(str(number), b"") for number in range(50)]
    scrambler = Scrambler(Mischief())

    assert [one for message in messages for one in scrambler.pass_on(message)] == messages
    assert scrambler.flush() == []


def test_a_scrambler_drops_repeats_and_reorders_the_same_for_a_seed() -> None:
    messages = [(str(number), b"") for number in range(500)]

    def sent(mischief: Mischief) -> list[tuple[str, bytes]]:
        scrambler = Scrambler(mischief, seed=3)
        return [one for message in messages for one in scrambler.pass_on(message)] + scrambler.flush()

    assert 300 < len(sent(Mischief(drop=0.2))) < 450
    assert len(sent(Mischief(repeat=0.2))) > 550
    reordered = sent(Mischief(reorder=0.3))
    assert reordered != messages
    assert sorted(reordered) == sorted(messages)
    assert sent(Mischief(0.1, 0.1, reorder=0.1)) == sent(Mischief(0.1, 0.1, reorder=0.1))
