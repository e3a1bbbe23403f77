"""Every setting: where it comes from, and all sections together; a part is given its section and reads nothing else.

A setting is the environment variable `CATALOG_MIRROR_<SECTION>__<NAME>`, or the same name in the YAML file that
`CATALOG_MIRROR_CONFIG` names; the environment wins. A secret may also come from a file: `…_FILE` holds its path.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import yaml
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service.errors import SettingInvalid
from service.settings.sections import (
    AmqpSettings,
    CatalogSettings,
    ContractSettings,
    HttpSettings,
    LineageSettings,
    LogSettings,
    OpenLineageSettings,
    PipelineSettings,
    ProfilesSettings,
    RelaySettings,
    RetentionSettings,
    RoutesSettings,
    ScopeSettings,
    SearchSettings,
    Section,
    StoreSettings,
    SyncSettings,
    TargetSettings,
    TracesSettings,
    UsageSettings,
)
from service.text import redaction

__all__ = [
    "AmqpSettings",
    "CatalogSettings",
    "ContractSettings",
    "HttpSettings",
    "LineageSettings",
    "LogSettings",
    "OpenLineageSettings",
    "PipelineSettings",
    "ProfilesSettings",
    "RelaySettings",
    "RetentionSettings",
    "RoutesSettings",
    "ScopeSettings",
    "SearchSettings",
    "Section",
    "Settings",
    "StoreSettings",
    "SyncSettings",
    "TargetSettings",
    "TracesSettings",
    "UsageSettings",
    "hide_password",
    "load",
    "refreshed",
]

S = TypeVar("S", bound=Section)

PREFIX = "CATALOG_MIRROR_"
CONFIG_VARIABLE = PREFIX + "CONFIG"
_FILE_SUFFIX = "_FILE"


class Settings(BaseSettings):
    """All sections."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore", frozen=True)

    amqp: AmqpSettings = AmqpSettings()
    store: StoreSettings = StoreSettings()
    catalog: CatalogSettings = CatalogSettings()
    scope: ScopeSettings = ScopeSettings()
    sync: SyncSettings = SyncSettings()
    routes: RoutesSettings = RoutesSettings()
    pipeline: PipelineSettings = PipelineSettings()
    relay: RelaySettings = RelaySettings()
    retention: RetentionSettings = RetentionSettings()
    usage: UsageSettings = UsageSettings()
    profiles: ProfilesSettings = ProfilesSettings()
    targets: dict[str, TargetSettings] = {}
    openlineage: OpenLineageSettings = OpenLineageSettings()
    lineage: LineageSettings = LineageSettings()
    contract: ContractSettings = ContractSettings()
    search: SearchSettings = SearchSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    traces: TracesSettings = TracesSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is passed in code wins over the environment, that over secret files, that over the YAML file."""
        return init_settings, env_settings, _SecretFiles(settings_cls), _YamlFile(settings_cls)

    def target(self, name: str) -> TargetSettings:
        """The section of one target; its defaults where nothing is set."""
        return self.targets.get(name, TargetSettings())


class _Source(PydanticBaseSettingsSource):
    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Part of the interface; `__call__` does the work."""
        return None, field_name, False


class _YamlFile(_Source):
    def __call__(self) -> dict[str, Any]:
        path = os.environ.get(CONFIG_VARIABLE)
        if not path:
            return {}
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except yaml.MarkedYAMLError as error:  # its text quotes the line, and a secret may be on it
            line = error.problem_mark.line + 1 if error.problem_mark else "?"
            raise SettingInvalid(setting=CONFIG_VARIABLE, problem=f"{path}, line {line}: {error.problem}") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise SettingInvalid(setting=CONFIG_VARIABLE, problem=f"{path}: {type(error).__name__}") from None
        if content is None:
            return {}
        if not isinstance(content, dict):
            raise SettingInvalid(setting=CONFIG_VARIABLE, problem=f"{path} must hold sections, such as `amqp:`")
        return {str(key).lower(): self._read(path, str(key).lower(), value) for key, value in content.items()}

    def _read(self, path: str, section: str, value: Any) -> Any:
        """One section: its names checked, its secret files read."""
        where = f"{path}: {section}"
        if section == "targets" and isinstance(value, dict):
            targets = {str(name).lower(): _lower_keys(members) for name, members in value.items()}
            for target, members in targets.items():
                for name in members if isinstance(members, dict) else ():
                    _check_known(section, f"{target}__{name}", f"{where}.{target}.{name}")
            return targets
        members = _lower_keys(value)
        for name in members if isinstance(members, dict) else [""]:
            _check_known(section, name, f"{where}.{name}")
        return _with_files(section, members, where)


def _with_files(section: str, members: Any, where: str) -> Any:
    """The members, with `…_file` replaced by what the file holds."""
    model = _section(section)
    if model is None or not isinstance(members, dict):
        return members
    suffix = _FILE_SUFFIX.lower()
    for name in [name for name in members if name.endswith(suffix) and name not in _names(model)]:
        members[name.removesuffix(suffix)] = _file_text(str(members.pop(name)), f"{where}.{name}")
    return members


def _file_text(path: str, setting: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(setting=setting, problem=f"{path}: {error}") from None


def _lower_keys(value: Any) -> Any:
    return {str(key).lower(): member for key, member in value.items()} if isinstance(value, dict) else value


def _section(name: str) -> type[Section] | None:
    """The class of a section; None where there is no such section or it holds one section per target."""
    field = Settings.model_fields.get(name)
    model = field.annotation if field else None
    return model if isinstance(model, type) and issubclass(model, Section) else None


def _names(section: type[Section]) -> set[str]:
    return {field.alias or name for name, field in section.model_fields.items()}


def _check_known(section: str, name: str, where: str) -> None:
    if section not in Settings.model_fields:
        raise SettingInvalid(setting=where, problem=f"there is no section {section.upper()}")
    model = _section(section)
    if model is None:  # targets: between section and name stands the target
        model, (_, _, name) = TargetSettings, name.partition("__")
    plain = name.removesuffix(_FILE_SUFFIX.lower())
    if name not in _names(model) and plain not in _names(model):
        raise SettingInvalid(setting=where, problem=f"section {section.upper()} has no {name.upper() or 'members'}")


class _SecretFiles(_Source):
    """Every `…__<NAME>_FILE` gives `…__<NAME>` unless that is a setting of its own (such as `ca_file`)."""

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for variable, path in os.environ.items():
            place = _place_of(variable)
            if place is None:
                continue
            section, name = place
            found.setdefault(section, {})[name] = _file_text(path, variable)
        return found


def _place_of(variable: str) -> tuple[str, str] | None:
    if not (variable.upper().startswith(PREFIX) and variable.upper().endswith(_FILE_SUFFIX)):
        return None
    section, _, name = variable[len(PREFIX) : -len(_FILE_SUFFIX)].lower().partition("__")
    model = _section(section)
    return (section, name) if model and name in _names(model) else None


def refreshed(section: S) -> S:
    """The section with its secret files read again: credentials rotate while the service runs.

    A file that cannot be read just now leaves what was there. What is made of another section, as a target's broker
    is, has no files here.
    """
    name = next((key for key, field in Settings.model_fields.items() if field.annotation is type(section)), None)
    update: dict[str, Any] = {}
    for variable, path in os.environ.items():
        place = _place_of(variable)
        if place and place[0] == name and _holds_secret(type(section), place[1]):
            with suppress(OSError, UnicodeDecodeError):
                update[place[1]] = SecretStr(Path(path).read_text(encoding="utf-8").strip())
    return section.model_copy(update=update) if update else section


def _holds_secret(section: type[Section], name: str) -> bool:
    field = section.model_fields.get(name)
    return field is not None and "SecretStr" in str(field.annotation)


def load() -> Settings:
    """Read all settings. The words and forms of secrets that they add hold for the whole process from then on.

    Raises:
        SettingInvalid: names the first setting that cannot be used, and why; never its value.
    """
    for variable in os.environ:
        if variable.upper().startswith(PREFIX) and "__" in variable:
            section, _, name = variable[len(PREFIX) :].lower().partition("__")
            _check_known(section, name if section == "targets" else name.split("__")[0], where=variable)
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "__".join(str(part).upper() for part in first["loc"])
        raise SettingInvalid(setting=PREFIX + place, problem=first["msg"]) from None
    except ValueError as error:  # JSON in an environment variable that does not parse
        raise SettingInvalid(setting=_variable_in(str(error)), problem="it is not valid JSON") from None
    redaction.know(settings.pipeline.secret_words, settings.pipeline.secret_forms)
    return settings


def _variable_in(message: str) -> str:
    quoted = message.split('"')
    return PREFIX + quoted[1].upper() if len(quoted) > 1 else PREFIX + "…"


def hide_password(url: str) -> str:
    """The URL without user and password, for logs and messages."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))
