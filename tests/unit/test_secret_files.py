"""Secrets in files are read again whatever names the file, and however it is replaced."""

import os
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sandbox.parts.mounted import MountedSecrets
from sandbox.parts.tls import Certificates
from service.errors import SettingInvalid
from service.settings.files import Watched
from service.settings.model import AmqpSettings, Section, Settings, TargetSettings, load
from service.settings.trust import Trust
from service.targets.sign_in import given, password_of

ROOT = Path(__file__).parents[2]
PREFIX = "CATALOG_MIRROR_"
#: Files that settings name and that hold no credential.
NO_CREDENTIAL = {"SYNC__EPOCH_FILE"}


def secrets_of_sections() -> Iterator[str]:
    """Every setting of a section that is a secret, as the environment writes it."""
    for section, told in Settings.model_fields.items():
        model: Any = told.annotation
        if not (isinstance(model, type) and issubclass(model, Section)):
            continue
        for name, field in model.model_fields.items():
            if "SecretStr" in str(field.annotation):
                yield f"{section}__{field.alias or name}".upper()


def credentials_of_settings() -> set[str]:
    """Every setting that is a secret, or names a file of one, as the documents write it."""
    found = set(secrets_of_sections())
    for section, told in {**Settings.model_fields, "targets__<name>": None}.items():
        model: Any = told.annotation if told else TargetSettings
        if isinstance(model, type) and issubclass(model, Section):
            for name, field in model.model_fields.items():
                if "SecretStr" in str(field.annotation) or ("Path" in str(field.annotation) and name.endswith("_file")):
                    found.add(f"{section}__{field.alias or name}".upper())
    return found - NO_CREDENTIAL


def _texts(name: str) -> tuple[str, str]:
    """Two secrets that the setting may have."""
    if name.endswith("URL"):
        scheme = {"AMQP__URL": "amqp", "AMQP__MANAGEMENT_URL": "http"}.get(name, "postgresql")
        return f"{scheme}://u:old@h/v", f"{scheme}://u:new@h/v"
    return "name=old", "name=new"


@pytest.mark.parametrize("name", list(secrets_of_sections()))
@pytest.mark.parametrize("way", ["variable", "credential", "yaml"])
def test_every_secret_is_read_again_from_a_mounted_volume_whatever_names_it(
    name: str, way: str, mounted: MountedSecrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section, member = name.lower().split("__")
    old, new = _texts(name)
    file = PREFIX + name if way == "credential" else name.lower()
    mounted.put({file: old, "another": "x"})
    if way == "variable":
        monkeypatch.setenv(f"{PREFIX}{name}_FILE", str(mounted.path(file)))
    elif way == "credential":
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(mounted.place))
    else:
        (tmp_path / "mirror.yaml").write_text(f"{section}:\n  {member}_file: {mounted.path(file)}\n")
        monkeypatch.setenv(f"{PREFIX}CONFIG", str(tmp_path / "mirror.yaml"))
    secret = getattr(getattr(load(), section), member)
    assert secret.get_secret_value() == old

    mounted.put({"another": "y"})
    assert secret.get_secret_value() == old
    mounted.put({file: new + "\n"})
    assert secret.get_secret_value() == new
    assert new not in f"{secret!r} {secret}"


def test_a_file_of_the_same_size_and_time_is_another_one(tmp_path: Path) -> None:
    file, other = tmp_path / "token", tmp_path / "other"
    for path, text in ((file, "token-1"), (other, "token-2")):
        path.write_text(text)
        os.utime(path, (0, 0))
    watched = Watched.text(file, str.strip)
    other.rename(file)
    assert watched.value == "token-2"


@pytest.mark.parametrize("text", ["", " \n", "http://u:new@h", "amqp://u:new@[h"])
def test_what_cannot_be_the_secret_leaves_what_was_there(
    text: str, mounted: MountedSecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted.put({"url": "amqp://u:old@h"})
    monkeypatch.setenv(f"{PREFIX}AMQP__URL_FILE", str(mounted.path("url")))
    url = load().amqp.url
    assert url is not None
    mounted.put({"url": text})
    assert url.get_secret_value() == "amqp://u:old@h"
    mounted.path("url").unlink()
    assert url.get_secret_value() == "amqp://u:old@h"
    mounted.put({"url": "amqp://u:new@h"})
    assert url.get_secret_value() == "amqp://u:new@h"


def test_what_is_made_in_code_is_nobodys_file(mounted: MountedSecrets, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the demo's broker is: it must never be the one that the environment's file names."""
    mounted.put({"url": "amqp://real"})
    monkeypatch.setenv(f"{PREFIX}AMQP__URL_FILE", str(mounted.path("url")))
    load()
    demo = AmqpSettings(url=SecretStr("amqp://demo"))
    assert demo.url is not None
    assert demo.url.get_secret_value() == "amqp://demo"


def test_a_target_reads_its_files_again_from_a_mounted_volume(mounted: MountedSecrets) -> None:
    mounted.put({"token": "token-1", "password": "password-1"})
    chosen = TargetSettings(token_file=mounted.path("token"), password_file=mounted.path("password"))
    token, password = given("t", chosen)._read, password_of("t", chosen)
    assert (token(), password()) == ("token-1", "password-1")
    mounted.put({"token": ""})
    assert token() == "token-1", "what is just being written is no token"
    mounted.put({"token": "token-2", "password": "password-2"})
    assert (token(), password()) == ("token-2", "password-2")


@pytest.mark.parametrize("beside", [False, True])
def test_certificates_are_read_again_and_until_then_connections_may_be_kept(
    beside: bool, mounted: MountedSecrets, certificates: Certificates
) -> None:
    mounted.put({"ca.crt": certificates.ca.read_text()})
    trust = Trust(mounted.path("ca.crt"), "CATALOG__CA_FILE", beside=beside)
    first = trust.context
    mounted.put({"another": "x"})
    mounted.put({"ca.crt": "-- no certificate yet"})
    assert trust.context is first
    mounted.put({"ca.crt": certificates.stranger.read_text()})
    second = trust.context
    assert second is not first
    assert _names(certificates.stranger) <= _subjects(second)
    assert not _names(certificates.ca) & _subjects(second)


def _subjects(context: ssl.SSLContext) -> set[bytes]:
    return set(context.get_ca_certs(binary_form=True))


def _names(file: Path) -> set[bytes]:
    return {
        ssl.PEM_cert_to_DER_cert(text) for text in re.findall(r"-----BEGIN.*?-----END[^\n]*\n", file.read_text(), re.S)
    }


def test_credentials_set_what_variables_of_their_name_would(
    mounted: MountedSecrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted.put({
        "CATALOG_MIRROR_AMQP__URL": "amqp://credential\n", "CATALOG_MIRROR_STORE__SCHEMA": "mirror",
        "CATALOG_MIRROR_AMQP__CA_FILE": "-----BEGIN", "catalog_mirror_http__tokens_file": "a: {}",
        "CATALOG_MIRROR_TARGETS__HOOK__TOKEN": "token", "CATALOG_MIRROR_TARGETS__HOOK__SECRET_FILE": "whsec_x",
        "somebody-elses": "x",
    })  # fmt: skip
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(mounted.place))
    told = load()
    assert told.amqp.url is not None
    assert (told.amqp.url.get_secret_value(), told.store.schema_name) == ("amqp://credential", "mirror")
    assert told.amqp.ca_file == mounted.path("CATALOG_MIRROR_AMQP__CA_FILE")
    assert told.http.tokens_file == mounted.path("catalog_mirror_http__tokens_file")
    hook = told.target("hook")
    assert hook.token_file == mounted.path("CATALOG_MIRROR_TARGETS__HOOK__TOKEN")
    assert hook.secret_file == mounted.path("CATALOG_MIRROR_TARGETS__HOOK__SECRET_FILE")

    (tmp_path / "url").write_text("amqp://file")
    monkeypatch.setenv(f"{PREFIX}AMQP__URL_FILE", str(tmp_path / "url"))
    url = load().amqp.url
    assert url is not None
    assert url.get_secret_value() == "amqp://file", "a variable wins"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("CATALOG_MIRROR_AMQP__URLL", "has no URLL"), ("CATALOG_MIRROR_AMPQ__URL", "no section AMPQ"),
        ("CATALOG_MIRROR_AMQP__URL_FILE", "leave out `_FILE`"), ("CATALOG_MIRROR_TARGETS__X__TOKENS", "has no TOKENS"),
        ("CATALOG_MIRROR_AMQP__PREFETCH", "valid integer"),
    ],
)  # fmt: skip
def test_a_credential_that_cannot_be_used_is_named_and_not_shown(
    name: str, told: str, mounted: MountedSecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted.put({name: "hunter2SWORDFISH"})
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(mounted.place))
    with pytest.raises(SettingInvalid, match=told) as caught:
        load()
    assert "hunter2" not in f"{caught.value} {caught.value.advice()}"


def test_credentials_that_cannot_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "none"))
    with pytest.raises(SettingInvalid, match=r"CREDENTIALS_DIRECTORY.*none"):
        load()


def test_every_secret_of_the_settings_has_its_row_in_the_table_of_rotation() -> None:
    page = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
    section = page.partition("## Secrets that rotate")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([A-Z]+__[A-Z_<>]+)`", row.split("|")[1])}
    assert named == credentials_of_settings()
    tests = {test for row in rows for test in re.findall(r"`(test_\w+\.py::test_\w+)`", row)}
    for test in tests:
        file, _, function = test.partition("::")
        assert any(f"def {function}(" in path.read_text() for path in (ROOT / "tests").rglob(file)), test
    assert all("`test_" in row for row in rows)
