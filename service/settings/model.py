"""Every setting: where it comes from, and all sections together; a part is given its section and reads nothing else.

A setting is the environment variable `CATALOG_MIRROR_<SECTION>__<NAME>`, or the same name in the YAML file that
`CATALOG_MIRROR_CONFIG` names; the environment wins. A secret may also come from a file: `…_FILE` holds its path, or the
file is a credential of systemd.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from pydantic import ValidationError
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
from service.settings.sources import PREFIX, Credentials, NamedFiles, Sections, YamlFile
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
]


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
        """What is passed in code wins over variables, those over files that they name, credentials, the YAML file."""
        return (
            init_settings, env_settings, NamedFiles(settings_cls), Credentials(settings_cls), YamlFile(settings_cls),
        )  # fmt: skip

    def target(self, name: str) -> TargetSettings:
        """The section of one target; its defaults where nothing is set."""
        return self.targets.get(name, TargetSettings())


def load() -> Settings:
    """Read all settings. The words and forms of secrets that they add hold for the whole process from then on.

    Raises:
        SettingInvalid: names the first setting that cannot be used, and why; never its value.
    """
    Sections(Settings).check_variables()
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
