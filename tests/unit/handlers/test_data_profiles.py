"""Data profiles: every trap of the documented message."""

import json
from typing import Any

import pytest

from handlers.data_profiles import profile_deleted, profile_saved
from service.changes import Container, ProfileDeleted, ProfileMentioned, ProfileSaved, Rank, RefreshAsked
from service.errors import DataError, EmptyProfileEvent, FieldInvalid
from service.events.cards import profile_change
from service.events.message import Event
from service.text.documents import read

KEY = "v2.data_profiles.5210c7d-cf6b.POST"
DETAILS = {"catalog_id": "c1", "dataset_id": "a1", "profile_id": "p1", "is_governed": False}
STATE: dict[str, dict[str, Any]] = {
    "metadata": {"guid": "p1", "asset_id": "p1", "dataset_id": "a1", "catalog_id": "c1",
                 "created_at": "2018-11-12T15:32:53.902Z"},
    "entity": {"data_profile": {"execution": {"status": "finished"}, "columns": [{"name": "x"}]}},
}  # fmt: skip
ENVELOPE = {
    "event": "CREATE_DATA_PROFILE", "actor": {"user_name": "john@acme.com"}, "published": "2015-05-10T15:04:15Z",
    "url": "https://h/p1", "status_code": 201, "state": STATE, "details": DETAILS,
}  # fmt: skip


def event_of(key: str = KEY, **fields: Any) -> Event:
    """The documented message with other fields; read from bytes, as the pipeline does."""
    return Event.of(key, read(json.dumps({**ENVELOPE, **fields}).encode(), 64))


def saved(key: str = KEY, **fields: Any) -> ProfileSaved:
    (change,) = profile_saved.run(event_of(key, **fields))
    assert isinstance(change, ProfileSaved)
    return change


def test_the_documented_message_is_a_saved_profile() -> None:
    change = saved()

    assert (change.profile_id, change.asset_id, change.container) == ("p1", "a1", Container("catalog", "c1"))
    assert (change.status, change.column_count, change.is_new) == ("finished", 1, True)
    assert change.version.rank is Rank.EVENT
    assert not saved(KEY.replace("POST", "PATCH")).is_new


@pytest.mark.parametrize(
    ("profile", "number"),
    [
        ({"columns": [{}, {}]}, 2),
        ({"columns": []}, 0),
        ({"columns": [], "attachment_id": "t1"}, None),
        ({"columns": [{}], "attachment_id": "t1"}, 1),
        ({"attachment_id": "t1"}, None),
    ],
)
def test_columns_are_counted_where_the_profile_has_them(profile: dict[str, Any], number: int | None) -> None:
    """IBM's sample of a finished profile: `"columns": [], "attachment_id": …`; the findings are in that document."""
    told = {"metadata": {"guid": "p1"}, "entity": {"data_profile": profile}}
    assert saved(state=told).column_count == number
    assert profile_change(told, "a1", None, None, Rank.READ).column_count == number


@pytest.mark.parametrize(
    ("details", "metadata", "expected"),
    [
        ({"profile_id": "d"}, {"guid": "s", "asset_id": "t"}, "d"),
        ({"profile_id": ""}, {"guid": "s"}, "s"),
        ({}, {"asset_id": "t"}, "t"),
        ({}, {}, "5210c7d-cf6b"),
        (None, None, "5210c7d-cf6b"),
        ({"profile_id": None}, {"guid": None}, "5210c7d-cf6b"),
        ({"profile_id": "no uuid at all ✓"}, {}, "no uuid at all ✓"),
    ],
)
def test_details_win_then_state_then_key(details: Any, metadata: Any, expected: str) -> None:
    assert saved(details=details, state={"metadata": metadata}).profile_id == expected


def test_the_profiles_own_asset_id_is_not_the_data_set() -> None:
    assert saved(details=None, state={"metadata": {"asset_id": "p1"}}).asset_id is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"catalog_id": "hidden", "project_id": "p"}, Container("project", "p")),
        ({"catalog_id": "hidden", "space_id": "s"}, Container("space", "s")),
        ({"catalog_id": "c", "project_id": ""}, Container("catalog", "c")),
        ({"catalog_id": None}, None),
        ({}, None),
    ],
)
def test_a_project_or_space_beside_a_catalog_is_where_the_asset_lives(fields: Any, expected: Container | None) -> None:
    assert saved(details=fields, state={}).container == expected
    assert saved(details=None, state={"metadata": fields}).container == expected


def test_details_alone_are_a_mention_and_a_refresh() -> None:
    mentioned, asked = profile_saved.run(event_of(state=None))

    assert mentioned == ProfileMentioned("p1", "a1", Container("catalog", "c1"))
    assert isinstance(asked, RefreshAsked)
    assert (asked.kind, asked.entity_id) == ("data_profile", "p1")


@pytest.mark.parametrize("handler", [profile_saved, profile_deleted])
def test_neither_state_nor_details_is_a_data_error(handler: Any) -> None:
    with pytest.raises(EmptyProfileEvent):
        list(handler.run(event_of(state=None, details=None)))
    with pytest.raises(EmptyProfileEvent):
        list(handler.run(Event.of(KEY, {})))


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"state": []}, "state"),
        ({"state": {"metadata": 3}}, "state.metadata"),
        ({"state": {"metadata": {"guid": 3}}}, "state.metadata.guid"),
        ({"state": {"metadata": {"guid": "p\x00"}}, "details": {}}, "state.metadata.guid"),
        ({"state": {"metadata": {"created_at": "soon"}}}, "state.metadata.created_at"),
        ({"state": {"entity": []}}, "state.entity"),
        ({"state": {"entity": {"data_profile": {"columns": {}}}}}, "state.entity.data_profile.columns"),
        ({"state": {"entity": {"data_profile": {"execution": {"status": 3}}}}}, "execution.status"),
        ({"details": {"profile_id": 5}}, "details.profile_id"),
        ({"details": {"profile_id": "\ud800"}}, "details.profile_id"),
        ({"details": {"profile_id": "x" * 1025}}, "details.profile_id"),
        ({"details": {"profile_id": "é" * 513}}, "details.profile_id"),
        ({"details": {"dataset_id": ["a"]}}, "details.dataset_id"),
        ({"details": {"is_governed": "false"}}, "details.is_governed"),
        ({"details": "text"}, "details"),
        ({"published": {}}, "published"),
        ({"published": True}, "published"),
        ({"published": "yesterday"}, "published"),
        ({"status_code": 201.5}, "status_code"),
    ],
)
def test_a_wrong_type_is_a_data_error_that_names_the_field(fields: Any, where: str) -> None:
    with pytest.raises(DataError) as caught:
        list(profile_saved.run(event_of(**fields)))

    assert isinstance(caught.value, FieldInvalid)
    assert where in str(caught.value)


@pytest.mark.parametrize("code", [201, 201.0, "201", None])
def test_a_status_code_may_be_a_float_or_a_text(code: Any) -> None:
    assert saved(status_code=code).profile_id == "p1"


@pytest.mark.parametrize("actor", [None, "john", {"user_name": None}, {}])
def test_an_actor_may_be_told_in_any_way(actor: Any) -> None:
    assert saved(actor=actor).profile_id == "p1"


@pytest.mark.parametrize("when", [1431270255000, 1.431270255e12, "1431270255000", "2015-05-10T17:04:15+02:00"])
def test_every_notation_of_one_moment_is_one_version(when: Any) -> None:
    assert saved(published=when).version == saved().version


@pytest.mark.parametrize("when", [None, 0])
def test_a_missing_time_is_no_time(when: Any) -> None:
    assert saved(published=when).version.at_us is None


def test_an_unknown_field_of_a_state_is_kept_and_one_of_the_envelope_is_not() -> None:
    change = saved(state={**STATE, "new": {"deep": [1.0]}}, also="new")

    assert '"new":{"deep":[1]}' in change.document.text
    assert "also" not in change.document.text


def test_a_volatile_field_changes_the_document_and_not_the_digest() -> None:
    metadata = {**STATE["metadata"], "accessed_at": "2020-01-01T00:00:00Z"}
    one, other = saved(), saved(state={**STATE, "metadata": metadata})

    assert one.version.digest == other.version.digest
    assert one.version != other.version


def test_equal_states_in_other_notation_have_one_version() -> None:
    again = Event.of(KEY, read(json.dumps(ENVELOPE, indent=3, sort_keys=True).encode(), 64))

    assert list(profile_saved.run(again)) == [saved()]


def test_events_that_differ_in_details_alone_differ_in_version_and_do_not_tie() -> None:
    one, other = saved(), saved(details={**DETAILS, "dataset_id": "a2"})

    assert one.version.key != other.version.key
    assert not one.version.ties_with(other.version)


def test_a_deletion_counts_more_than_a_state_of_the_same_moment() -> None:
    (change,) = profile_deleted.run(event_of(KEY.replace("POST", "DELETE"), state=None))

    assert isinstance(change, ProfileDeleted)
    assert (change.profile_id, change.asset_id) == ("p1", "a1")
    assert change.version.key > saved().version.key


@pytest.mark.parametrize("state", [{}, {"metadata": None, "entity": None}, {"entity": {"data_profile": None}}])
def test_an_empty_state_is_a_state(state: Any) -> None:
    assert saved(state=state).document.text
