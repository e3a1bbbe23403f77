"""Names of query parameters, and the settings of the catalog: what is wrong is refused before anything is sent."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.catalog.client import CatalogClient
from service.catalog.names import DEFAULTS, Names
from service.changes import Container
from service.errors import SettingInvalid
from service.settings.model import CatalogSettings, load

SECRET = "hunter2SWORDFISH"
KEY = SecretStr(SECRET)


def test_a_name_can_be_changed_and_the_others_stay() -> None:
    names = Names({"dataset_id": "data_set", "catalog_id": "cat"})

    assert names.query({"dataset_id": "d", "limit": 25, "include_entity": True, "since": None}) == {
        "data_set": "d", "limit": "25", "include_entity": "true",
    }  # fmt: skip
    assert names.container(Container("catalog", "c1")) == ("cat", "c1")
    assert names.container(Container("space", "s1")) == ("space_id", "s1")


@pytest.mark.parametrize(("overrides", "problem"), [({"datasetid": "x"}, "dataset_id"), ({"limit": ""}, "empty")])
def test_a_name_that_is_not_ours_is_refused(overrides: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingInvalid, match="CATALOG__PARAMETERS") as caught:
        Names(overrides)

    assert problem in str(caught.value)


def test_a_container_has_a_name_for_each_kind() -> None:
    assert {"catalog_id", "project_id", "space_id"} <= DEFAULTS.keys()


@pytest.mark.parametrize(
    "url",
    ["ftp://h", "h", "https://", f"https://u:{SECRET}@h", "https://h?x", "https://h/#a", "https://[h", "https://h:x"],
)
def test_a_url_that_is_none_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CATALOG_MIRROR_CATALOG__URL", url)

    with pytest.raises(SettingInvalid, match="CATALOG__URL") as caught:
        load()

    assert SECRET not in str(caught.value)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    monkeypatch.setenv("CATALOG_MIRROR_CATALOG__URL", "https://catalog/base/")
    monkeypatch.setenv("CATALOG_MIRROR_CATALOG__API_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("CATALOG_MIRROR_CATALOG__CA_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("CATALOG_MIRROR_CATALOG__PARAMETERS", '{"since": "updated_since"}')

    settings = load().catalog

    assert settings.url == "https://catalog/base"
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == SECRET
    assert settings.ca_file == tmp_path / "ca.pem"
    assert settings.parameters == {"since": "updated_since"}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, "CATALOG__URL"),
        ({"url": "https://h"}, "CATALOG__API_KEY"),
        ({"url": "https://h", "api_key": SecretStr("")}, "CATALOG__API_KEY"),
        ({"url": "https://h", "auth": "cpd", "api_key": KEY}, "CATALOG__USERNAME"),
        ({"url": "https://h", "username": "u"}, "CATALOG__API_KEY"),
        ({"url": "https://h", "api_key": KEY, "ca_file": Path("/nowhere.pem")}, "CATALOG__CA_FILE"),
        ({"url": "https://h", "api_key": KEY, "parameters": {"x": "y"}}, "CATALOG__PARAMETERS"),
    ],
)
def test_what_a_client_needs_is_named(settings: dict[str, Any], names: str) -> None:
    with pytest.raises(SettingInvalid, match=names) as caught:
        CatalogClient(CatalogSettings(**settings))

    assert SECRET not in f"{caught.value} {caught.value!r}"
