"""Settings come from the environment, a YAML file and secret files; what is wrong is named, its value never."""

from pathlib import Path
from typing import Any

import pytest

from service.changes import Origin
from service.errors import SettingInvalid
from service.settings.model import Settings, hide_password, load

SECRET = "hunter2SWORDFISH"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`environment(NAME=value)` sets `CATALOG_MIRROR_NAME`."""

    def set_all(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"CATALOG_MIRROR_{name}", value)

    return set_all


def secret_of(settings: Settings) -> str:
    assert settings.amqp.url is not None
    return settings.amqp.url.get_secret_value()


def test_the_environment_sets_every_kind_of_setting(environment: Any) -> None:
    environment(
        AMQP__URL="amqp://h", AMQP__BINDINGS="a.*, b.#", STORE__SCHEMA="mirror", PIPELINE__PRINCIPALS="hash",
        TARGETS__CATALOG_LINEAGE__ORIGINS="live,replay", TARGETS__CATALOG_LINEAGE__VIA="off",
        ROUTES__OVERRIDES='{"a.*": "ignore"}',
    )  # fmt: skip

    settings = load()

    assert settings.amqp.bindings == ["a.*", "b.#"]
    assert settings.store.schema_name == "mirror"
    assert settings.target("catalog_lineage").origins == [Origin.LIVE, Origin.REPLAY]
    assert settings.target("catalog_lineage").via == "off"
    assert settings.routes.overrides == {"a.*": "ignore"}


def test_the_environment_wins_over_secret_files_and_those_over_yaml(environment: Any, tmp_path: Path) -> None:
    config, secret = tmp_path / "mirror.yaml", tmp_path / "url"
    config.write_text("AMQP:\n  url: amqp://yaml\n  queue: from-yaml\ntargets:\n  catalog_lineage:\n    via: off\n")
    secret.write_text("amqp://file\n")

    environment(CONFIG=str(config))
    assert secret_of(load()) == "amqp://yaml"
    environment(AMQP__URL_FILE=str(secret))
    assert secret_of(load()) == "amqp://file"
    environment(AMQP__URL="amqp://environment")
    settings = load()
    assert secret_of(settings) == "amqp://environment"
    assert settings.amqp.queue == "from-yaml"
    assert settings.target("catalog_lineage").via == "off"


def test_a_setting_that_ends_in_file_is_no_secret_file(environment: Any, tmp_path: Path) -> None:
    environment(AMQP__CA_FILE=str(tmp_path / "missing.pem"))

    assert load().amqp.ca_file == tmp_path / "missing.pem"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AMQP__URLL", SECRET),
        ("AMPQ__URL", SECRET),
        ("AMQP__URL", f"http://u:{SECRET}@h"),
        ("AMQP__URL", f"amqp://u:{SECRET}@[h"),
        ("AMQP__PREFETCH", SECRET),
        ("AMQP__QUEUE_TYPE", SECRET),
        ("STORE__SCHEMA", f"x; DROP {SECRET}"),
        ("ROUTES__OVERRIDES", f'{{"{SECRET}'),
        ("ROUTES__OVERRIDES", f'["{SECRET}"]'),
        ("PIPELINE__BATCH_MAX", "0"),
        ("TARGETS__CATALOG_LINEAGE__ORIGINS", SECRET),
        ("LOG__LEVEL", SECRET),
        ("AMQP__URL_FILE", f"/nowhere/{'x' * 3}"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(environment: Any, variable: str, value: str) -> None:
    environment(**{variable: value})

    with pytest.raises(SettingInvalid) as caught:
        load()

    section = variable.split("__")[0]
    assert section in str(caught.value).upper()
    assert SECRET not in str(caught.value) + caught.value.advice()


@pytest.mark.parametrize(
    "text",
    ["[1]", "amqp: [", "ampq:\n  url: x", "amqp:\n  urll: x", "amqp: 3", "\ttab", "amqp:\n  prefetch: many", "\x00"],
)
def test_a_wrong_file_is_named(environment: Any, tmp_path: Path, text: str) -> None:
    config = tmp_path / "mirror.yaml"
    config.write_text(text)
    environment(CONFIG=str(config))

    with pytest.raises(SettingInvalid):
        load()


def test_a_missing_file_is_named(environment: Any, tmp_path: Path) -> None:
    environment(CONFIG=str(tmp_path / "none.yaml"))

    with pytest.raises(SettingInvalid, match=r"none\.yaml"):
        load()


def test_settings_never_show_a_secret(environment: Any) -> None:
    environment(AMQP__URL=f"amqp://u:{SECRET}@h", STORE__URL=f"postgresql://u:{SECRET}@h/d", CATALOG__API_KEY=SECRET)

    settings = load()

    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    "url", [f"postgresql://u:{SECRET}@h/d", f"amqp://u:{SECRET}@@h:5672/v", f"amqps://:{SECRET}@h"]
)
def test_a_url_is_shown_without_its_password(url: str) -> None:
    assert SECRET not in hide_password(url)
    assert hide_password("sqlite:///x.db") == "sqlite:///x.db"


@pytest.mark.parametrize("text", ["a.*, b.#", '["a.*", "b.#"]'])
def test_a_list_may_be_written_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("CATALOG_MIRROR_AMQP__BINDINGS", text)
    assert load().amqp.bindings == ["a.*", "b.#"]


def test_a_list_that_is_neither_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG_MIRROR_AMQP__BINDINGS", '["a.*", b.#]')
    with pytest.raises(SettingInvalid, match="AMQP__BINDINGS"):
        load()
