"""How Pentaho reaches data sources: what may be shown and stored, and the secrets, which are added when it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import yaml

from service.errors import SettingInvalid
from service.settings.files import Watched
from service.targets.options import setting_of
from service.targets.pentaho.operations import is_secret
from service.targets.pentaho.options import DataSourceOptions
from service.targets.posting import Reply

#: What is shown in the place of a secret.
HIDDEN = "***"


def _mapping(text: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:  # its text quotes the line, and a secret may be on it
        raise ValueError("it is no YAML or JSON") from None
    if not isinstance(value, dict):
        raise ValueError("it holds no map of fields")
    return {str(name): member for name, member in value.items()}


class DataSources:
    """All that settings tell of, by the id of the data source at Pentaho.

    Raises:
        SettingInvalid: a secret file cannot be read.
    """

    def __init__(self, target: str, told: Mapping[str, DataSourceOptions]) -> None:
        self._fields = {name: dict(options.model_extra or {}) for name, options in told.items()}
        self._files: dict[str, Watched[dict[str, Any]]] = {}
        for name, options in told.items():
            if options.secret_file is not None:
                self._files[name] = self._watched(target, name, options)

    @staticmethod
    def _watched(target: str, name: str, options: DataSourceOptions) -> Watched[dict[str, Any]]:
        try:
            return Watched.text(options.secret_file, _mapping)  # type: ignore[arg-type]  # the caller looked
        except (OSError, ValueError) as error:
            setting = setting_of(target, "OPTIONS")
            raise SettingInvalid(setting=setting, problem=f"data_sources.{name}.secret_file: {error}") from None

    def __contains__(self, data_source_id: object) -> bool:
        return data_source_id in self._fields

    def shown(self, data_source_id: str) -> dict[str, Any]:
        """The fields that are no secret."""
        return {name: value for name, value in self._fields.get(data_source_id, {}).items() if not is_secret(name)}

    def secrets(self, data_source_id: str) -> dict[str, Any]:
        """The fields that are, as the file says now; of two the file's counts."""
        own = {name: value for name, value in self._fields.get(data_source_id, {}).items() if is_secret(name)}
        return own | (self._files[data_source_id].value if data_source_id in self._files else {})

    def hidden(self, data_source_id: str) -> dict[str, str]:
        """The names of the secret fields, for people."""
        return dict.fromkeys(sorted(self.secrets(data_source_id)), HIDDEN)

    def scrubbed(self, reply: Reply, data_source_id: str) -> Reply:
        """An answer in which the secrets that we sent do not stand."""
        values = [value for value in self.secrets(data_source_id).values() if isinstance(value, str)]
        return scrubbed(reply, values)


def scrubbed(reply: Reply, secrets: Iterable[str]) -> Reply:
    """An answer without these texts, as they are or as JSON has them; before it is cut, so that no part is left."""
    forms = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1]) if form}
    body = reply.body
    for form in sorted(forms, key=len, reverse=True):
        body = body.replace(form.encode("utf-8", "surrogatepass"), HIDDEN.encode())
    return replace(reply, body=body)
