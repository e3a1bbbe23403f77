"""What a card says, in every odd form that the catalog has been seen to give it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.changes import AssetSaved, Container, Copied, ProfileSaved, Rank
from service.errors import FieldInvalid
from service.events.cards import card_changes, is_whole, read_card
from service.events.things import thing_change
from service.kinds.jobs import JOB
from service.text import documents

HERE = Container("catalog", "c1")
AT_US = 1_778_425_455_000_000


def card(entity: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """A card of a data asset."""
    told = {"asset_id": "a1", "asset_type": "data_asset", "name": "ORDERS", "rov": {"mode": 0}, "catalog_id": "c1"}
    whole = {"data_asset": {"mime_type": "text/csv", "dataset": False}, **(entity or {})}
    return {"metadata": {**told, **metadata}, "entity": whole}


def saved(told: dict[str, Any]) -> AssetSaved:
    """The asset that a card tells of."""
    first = next(iter(card_changes(told, HERE, AT_US, Rank.READ)))
    assert isinstance(first, AssetSaved)
    return first


def with_columns(*names: str, **entity: Any) -> dict[str, Any]:
    columns = [{"name": name, "type": {"type": "varchar", "length": 5.0}} for name in names]
    return card({"data_asset": {"mime_type": "x", "dataset": False, "columns": columns}, **entity})


@pytest.mark.parametrize("text", ["1529682109550", "1.52968210955E12", "1529682109550.0", '"1529682109550"'])
def test_a_time_is_read_from_an_integer_a_float_scientific_notation_and_text(text: str) -> None:
    created = documents.parsed(text.encode())
    assert saved(card(created=created)).created_at_us == 1_529_682_109_550_000


def test_created_0_stands_for_not_told_so_created_at_counts() -> None:
    assert saved(card(created=0, created_at="2018-06-22T15:41:49Z")).created_at_us == 1_529_682_109_000_000


def test_numbers_are_compared_by_value_so_2_and_2_point_0_are_no_change() -> None:
    one, other = (saved(card(extra=documents.parsed(text))) for text in (b"[2, 100]", b"[2.0, 1E2]"))
    assert one.version.digest == other.version.digest
    assert one.document == other.document


@pytest.mark.parametrize("metadata", [{"version": 0}, {"version": 2.0}, {"size": 9238}, {"rating": 0.0}])
def test_what_is_no_change_counter_is_no_news(metadata: dict[str, Any]) -> None:
    assert saved(card(**metadata)).version.digest == saved(card()).version.digest


def test_that_somebody_looked_at_an_asset_is_no_news_that_somebody_changed_it_is() -> None:
    usage = {"last_update_time": 5, "access_count": 7, "last_access_time": 6, "last_accessor_id": "u"}
    before = saved(card(usage=usage)).version.digest
    assert saved(card(usage={**usage, "access_count": 8, "last_access_time": 9})).version.digest == before
    assert saved(card(usage={**usage, "last_update_time": 9})).version.digest != before


def test_dataset_false_with_columns_has_columns() -> None:
    assert [column.name for column in saved(with_columns("CID", "CITY")).columns] == ["CID", "CITY"]


@pytest.mark.parametrize("name", ["a/b", "a~b", "~0~1/", "password", "ü\0", "x" * 3000])
def test_a_column_is_joined_to_what_is_known_of_it_whatever_its_name(name: str) -> None:
    info = {name: {"column_description": "Told", "column_terms": [{"term_id": "t1", "term_display_name": "T"}]}}
    told = saved(with_columns(name, column_info=info))
    assert [(column.name, column.description, column.length) for column in told.columns] == [(name, "Told", 5)]
    assert [(term.column, term.term_id) for term in told.terms] == [(name, "t1")]


@pytest.mark.parametrize(
    "attribute",
    [
        {"column_level_custom_attribute": {"columns": [{"name": "CID", "Other": "v"}]}},
        {"column_attribute": {"columns": {"CID": {"host": "h"}}}},
    ],
)
def test_column_level_attributes_are_kept_as_a_list_and_as_a_map(attribute: dict[str, Any]) -> None:
    told = saved(with_columns("CID", **attribute))
    assert told.document is not None
    assert json.loads(told.document.text)["entity"].items() >= attribute.items()
    assert [column.name for column in told.columns] == ["CID"]


@pytest.mark.parametrize("form", [{}, [], ["u"], [{"u": {"user_iam_id": "u"}}], {"u": {"user_iam_id": "u"}}, "u", None])
def test_collaborator_ids_may_have_any_form(form: Any) -> None:
    assert saved(card(rov={"mode": 0, "collaborator_ids": form})).visibility_mode == 0


@pytest.mark.parametrize(("mode", "meant"), [(-1, 0), (0, 0), (8, 8), (16, 16), ("8", 8), (8.0, 8), (2**40, None)])
def test_a_visibility_mode_is_a_small_number_however_it_is_written(mode: Any, meant: int | None) -> None:
    assert saved(card(rov={"mode": mode})).visibility_mode == meant


def test_a_private_card_without_its_entity_is_a_state_and_an_open_one_is_not() -> None:
    private = read_card({"metadata": card(rov={"mode": 8})["metadata"]}, HERE, AT_US, Rank.READ)
    assert private.version.rank is Rank.READ
    public = read_card({"metadata": card()["metadata"]}, HERE, AT_US, Rank.READ)
    assert (public.version.rank, public.version.at_us, public.document) == (Rank.STUB, None, None)


def test_only_members_with_a_guid_are_profiles_the_others_are_classes() -> None:
    profile = {"metadata": {"guid": "p1", "asset_id": "p1", "dataset_id": "a1"}, "entity": {}}
    attribute = {
        "p1": profile,
        "attribute_classes": ["NoClassDetected"],
        "data_classification_manual": [{"id": "cl", "name": "Secret", "global_id": "g_cl"}],
        "data_classification": [{"id": "cl2", "name": "PII"}],
    }
    asset, *profiles = card_changes(card({"data_profile": attribute}), HERE, AT_US, Rank.READ)
    assert [(one.profile_id, one.asset_id) for one in profiles if isinstance(one, ProfileSaved)] == [("p1", "a1")]
    assert isinstance(asset, AssetSaved)
    assert {(c.classification_id, c.standing) for c in asset.classifications} == {("cl", "manual"), ("cl2", "profiled")}


def test_a_copy_tells_where_it_came_from_and_a_projects_hidden_catalog_does_not_count() -> None:
    source = {"action": "publish", "asset_id": "a0", "catalog_id": "hidden", "project_id": "p1"}
    assert saved(card(source_asset=source)).copied_from == Copied("publish", "a0", Container("project", "p1"))


def test_of_a_connection_only_what_is_known_to_be_harmless_is_kept() -> None:
    properties = {"host": "h", "port": "50001", "password": "p", "access_key": "AK", "made_up": "secret", "bucket": "b"}
    connection = {"datasource_type": "d", "properties": properties, "flags": ["personal_credentials"], "odd": "secret"}
    told = saved(card({"connection": connection}))
    assert told.document is not None
    assert not any(word in told.document.text for word in ("password", "AK", "secret", "odd"))
    assert told.connection is not None
    assert (told.connection.host, told.connection.port, told.connection.flags) == (
        "h", "50001", ("personal_credentials",)
    )  # fmt: skip


def test_an_id_stands_in_metadata_or_beside_it_and_without_one_it_is_no_card() -> None:
    beside = card()
    del beside["metadata"]["asset_id"]
    assert read_card({**beside, "asset_id": "a9"}, HERE, AT_US, Rank.READ).asset_id == "a9"
    with pytest.raises(FieldInvalid):
        read_card(beside, HERE, AT_US, Rank.READ)


def test_a_connection_in_its_other_form_is_no_card() -> None:
    """`/v2/connections` shows properties right below `entity`, secrets in clear under names of any kind."""
    form = {"metadata": {"asset_id": "a1"}, "entity": {"name": "n", "properties": {"pwd1": "SWORDFISH"}}}
    assert not is_whole(form)
    assert is_whole(card())


def test_a_folder_says_itself_where_it_lies() -> None:
    """12988: a folder asset has connection and path in its own attribute, and no attachment."""
    folder = {"connection_id": "k1", "connection_path": "/bucket1/folder1"}
    told = saved(card({"folder_asset": folder}, asset_type="folder_asset"))

    assert (told.connection_id, told.connection_path) == ("k1", "/bucket1/folder1")


@pytest.mark.parametrize(("status", "shown"), [("None", None), ("Failed", "Failed"), (None, None)])
def test_a_job_that_never_ran_has_no_status(status: str | None, shown: str | None) -> None:
    """IBM's own client shows `last_run_status: "None"`."""
    item = {"metadata": {"asset_id": "j1"}, "entity": {"job": {"last_run_status": status}}}
    values = thing_change(JOB, item, HERE, AT_US).values

    assert values is not None
    assert values.last_run_status == shown
