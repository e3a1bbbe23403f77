"""The search feed says that something changed, not what: a deletion is a hint, the rest asks for a refresh."""

import json
from typing import Any

import pytest

from handlers.search_feed import search_index_changed
from service.changes import AssetDeletionHinted, Change, RefreshAsked
from service.errors import FieldInvalid
from service.events.message import Event
from service.events.search_feed import SearchHint, tenant_id
from service.text.documents import read

BODY = {
    "provider_type_id_list": ["cams"], "artifact_guid": "a1", "last_updated_at": 1529682109550,
    "message_type": "DELETE_MESSAGE", "tenant_id_list": ["999"],
}  # fmt: skip


def event_of(**fields: Any) -> Event:
    return Event.of("v3.gss.cams.x.y.action", read(json.dumps({**BODY, **fields}).encode(), 64))


def change_of(**fields: Any) -> Change:
    (change,) = search_index_changed.run(event_of(**fields))
    return change


@pytest.mark.parametrize("at", [1529682109550, 1.52968210955e12, "1529682109550", "2018-06-22T15:41:49.550Z"])
def test_a_deletion_is_a_hint_at_its_own_time(at: Any) -> None:
    assert change_of(last_updated_at=at) == AssetDeletionHinted("a1", 1529682109550000)


@pytest.mark.parametrize("at", [0, None])
def test_a_time_that_is_not_set_is_none(at: Any) -> None:
    assert change_of(last_updated_at=at) == AssetDeletionHinted("a1", None)


@pytest.mark.parametrize("kind", ["UPDATE_MESSAGE", "CREATE_MESSAGE", None, ""])
def test_anything_else_asks_for_a_refresh(kind: Any) -> None:
    assert change_of(message_type=kind) == RefreshAsked("asset", "a1", reason="search_feed")


def test_another_providers_artifact_is_no_asset_and_never_deleted_here() -> None:
    assert change_of(provider_type_id_list=["glossary"]) == RefreshAsked("artifact", "a1", reason="search_feed")


@pytest.mark.parametrize("providers", [None, [], ["glossary", "cams"]])
def test_a_feed_that_names_no_other_provider_is_about_an_asset(providers: Any) -> None:
    assert isinstance(change_of(provider_type_id_list=providers), AssetDeletionHinted)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"artifact_guid": None}, "artifact_guid"),
        ({"artifact_guid": ""}, "artifact_guid"),
        ({"artifact_guid": 5}, "artifact_guid"),
        ({"last_updated_at": "soon"}, "last_updated_at"),
        ({"message_type": 5}, "message_type"),
        ({"provider_type_id_list": "cams"}, "provider_type_id_list"),
        ({"tenant_id_list": [None]}, "tenant_id_list.0"),
    ],
)
def test_a_wrong_type_is_a_data_error_that_names_the_field(fields: Any, where: str) -> None:
    with pytest.raises(FieldInvalid, match=where):
        change_of(**fields)


def test_tenants_are_told_without_padding() -> None:
    event = event_of(tenant_id_list=["999", "999" + " " * 29, "999".zfill(32), 999, 999.0, "0" * 32])

    assert SearchHint.read(event).tenants == ("999", "999", "999", "999", "999", "0")


def test_an_id_that_only_looks_padded_stays() -> None:
    assert tenant_id("00123") == "00123"
    assert tenant_id("0" * 31 + "a") == "0" * 31 + "a"
