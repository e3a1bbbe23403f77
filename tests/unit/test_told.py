"""What the documents say and a first reading missed, with the words that say it, as declarations follow them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from service.catalog import listings
from service.catalog.client import CatalogClient, Request
from service.catalog.listings import Parent
from service.changes import Container, ContainerKind
from service.kinds import KINDS, Listing
from service.kinds.assets import TRASH
from service.kinds.glossary import ARTIFACT_TYPES, CHANGED_DATA_CLASSES
from service.settings.model import CatalogSettings


def asked(kind: str, where: ContainerKind | None = None, parent: Parent | None = None) -> Request:
    """What a kind's listing asks first."""
    settings = CatalogSettings(url="https://catalog.example.com", api_key=SecretStr("k"))
    place = Container(where, "here") if where else None
    return listings.request(CatalogClient(settings), listing(kind), place, parent)


def listing(kind: str) -> Listing:
    return KINDS[kind].listed[0]


def test_artifacts_are_asked_for_as_published() -> None:
    """“Filter by workflow status. Available statuses (if no status is specified, all drafts are retrieved)”."""
    assert asked("artifact").query["workflow_status"] == "published"


def test_one_artifact_is_asked_for_by_its_own_type() -> None:
    """Of one artifact: “Allowed values are category, glossary_term, classification, data_class, reference_data, policy,
    rule”; of lists “all” stands before them."""
    assert sorted(ARTIFACT_TYPES) == sorted(
        ["category", "glossary_term", "classification", "data_class", "reference_data", "policy", "rule"]
    )


def test_roles_of_the_categories_above_are_not_asked_for() -> None:
    """“If this parameter is true, the returned list contains collaborators not only for given category, but also for
    all parent categories, up to root category. Default: true”."""
    assert asked("category_member", parent=Parent("k1")).query == {"include_inherited": "false"}


def test_categories_are_asked_for_by_their_ids() -> None:
    """`POST /v3/categories/hierarchy` takes `{"resources": [{"artifact_id": …}]}`; “must be at least 1 and cannot
    exceed 1000. The default value is 10.”"""
    gathering = KINDS["category"].gathering
    assert gathering is not None
    assert gathering.asks(["k1"]) == {"resources": [{"artifact_id": "k1"}]}
    assert 10 < int(asked("category").query["limit"]) <= 1000


def test_versions_stand_under_resources() -> None:
    """`GET /v3/rules/{artifact_id}/versions` is answered with `"resources": [{"metadata": …`; only reference data of
    version 4 has a key of its own."""
    assert listing("artifact_version").items == "resources"
    assert asked("artifact_version", parent=Parent("r1", "rule")).path == "/v3/rules/r1/versions"


def test_columns_of_data_quality_are_asked_for_and_may_be_nested() -> None:
    """“If true include the children in the returned resource.” They are inside it, not beside it."""
    assert asked("quality_asset", "project").query["include_children"] == "true"
    assert listing("quality_asset").nested == "children"


def test_what_was_deleted_since_is_asked_for() -> None:
    """“DELETED: artifacts which have been deleted”; “created / updated / deleted since the given timestamp”."""
    assert CHANGED_DATA_CLASSES.since == "since"
    assert TRASH.since == "newer_than"


def test_profiles_are_asked_for_in_catalogs_and_projects_only() -> None:
    """“catalog_id or project_id is required”: there is no parameter for a space."""
    assert set(KINDS["data_profile"].within) == {"catalog", "project"}


@pytest.mark.parametrize("where", ["catalog", "project", "space"])
def test_every_call_to_what_is_in_a_container_names_it_once(where: ContainerKind) -> None:
    """“Exactly one of catalog_id, project_id, space_id”, in the query or in the path."""
    for name, kind in KINDS.items():
        if where not in kind.within:
            continue
        for one in kind.listed:
            if one.within and where not in one.within:
                continue
            request = _request(one, where)
            named = [key for key in request.query if key in ("catalog_id", "project_id", "space_id")]
            assert len(named) + ("here" in request.path) == 1, name


def _request(one: Listing, where: Any) -> Request:
    settings = CatalogSettings(url="https://catalog.example.com", api_key=SecretStr("k"))
    return listings.request(CatalogClient(settings), one, Container(where, "here"), Parent("p", "policy"))
