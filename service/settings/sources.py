"""Where settings come from beside the environment: the YAML file, files that variables name, credentials of systemd.

A secret that stands in a file of its own is a `FileSecret`, whatever names the file: so it is read again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from service.errors import SettingInvalid
from service.settings.files import FileSecret, text_of
from service.settings.sections import Section, TargetSettings

PREFIX = "CATALOG_MIRROR_"
CONFIG_VARIABLE = PREFIX + "CONFIG"
#: The folder with a file for each credential (systemd.exec(5), "Credentials"); a Secret that is mounted looks alike.
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
_FILE_SUFFIX = "_FILE"
_TARGETS = "targets"


class Sections:
    """The sections that there are, by their names.

    Args:
        settings: the class of all settings.
    """

    def __init__(self, settings: type[BaseModel]) -> None:
        self._fields = settings.model_fields

    def fields_of(self, section: str) -> dict[str, FieldInfo]:
        """The settings of a section, or of a target, by the names that people write; none where there is no such."""
        model: Any = TargetSettings if section == _TARGETS else getattr(self._fields.get(section), "annotation", None)
        if not (isinstance(model, type) and issubclass(model, Section)):
            return {}
        return {field.alias or name: field for name, field in model.model_fields.items()}

    def check_known(self, section: str, name: str, where: str) -> None:
        """Raises `SettingInvalid`: there is no setting of this name; before it a target's own stands with `__`."""
        if section not in self._fields:
            raise SettingInvalid(setting=where, problem=f"there is no section {section.upper()}")
        if section == _TARGETS:
            name = name.partition("__")[2]
        known = self.fields_of(section)
        if name not in known and name.removesuffix(_FILE_SUFFIX.lower()) not in known:
            raise SettingInvalid(setting=where, problem=f"section {section.upper()} has no {name.upper() or 'members'}")

    def check_variables(self) -> None:
        """Raises `SettingInvalid`: a variable or a credential is called like a setting that is not there."""
        for variable in (*os.environ, *(path.name for path in credentials())):
            if variable.upper().startswith(PREFIX) and "__" in variable:
                section, _, name = variable[len(PREFIX) :].lower().partition("__")
                self.check_known(section, name if section == _TARGETS else name.split("__")[0], variable)


def credentials() -> Iterator[Path]:
    """The files of the credentials directory, where there is one.

    Raises:
        SettingInvalid: it cannot be read.
    """
    directory = os.environ.get(CREDENTIALS_VARIABLE)
    if not directory:
        return
    try:
        yield from (path for path in sorted(Path(directory).iterdir()) if path.name.upper().startswith(PREFIX))
    except OSError as error:
        raise SettingInvalid(setting=CREDENTIALS_VARIABLE, problem=f"{directory}: {error.strerror}") from None


def _held(field: FieldInfo, path: Path, where: str) -> Any:
    """What a file gives for a setting: a secret that is read again, or its text.

    Raises:
        SettingInvalid: it cannot be read, or holds what the setting cannot be; `where` names it.
    """
    try:
        if "SecretStr" in str(field.annotation) and text_of(path).strip():
            kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            return FileSecret(path, TypeAdapter(kind).validate_python)
        return text_of(path).strip()
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise SettingInvalid(setting=where, problem=f"{path}: {problem}") from None
    except (OSError, ValueError) as error:
        raise SettingInvalid(setting=where, problem=f"{path}: {error}") from None


class _Source(PydanticBaseSettingsSource):
    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Part of the interface; `__call__` does the work."""
        return None, field_name, False

    @property
    def sections(self) -> Sections:
        """What there is to be set."""
        return Sections(self.settings_cls)


class YamlFile(_Source):
    """The file that `CATALOG_MIRROR_CONFIG` names."""

    def __call__(self) -> dict[str, Any]:
        """All that it sets.

        Raises:
            SettingInvalid: it cannot be read, or sets what is not there.
        """
        path = os.environ.get(CONFIG_VARIABLE)
        if not path:
            return {}
        try:
            content = yaml.safe_load(text_of(Path(path)))
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
        if section == _TARGETS and isinstance(value, dict):
            targets = {str(name).lower(): _lower_keys(members) for name, members in value.items()}
            for target, members in targets.items():
                for name in members if isinstance(members, dict) else ():
                    self.sections.check_known(section, f"{target}__{name}", f"{where}.{target}.{name}")
            return targets
        members = _lower_keys(value)
        for name in members if isinstance(members, dict) else [""]:
            self.sections.check_known(section, name, f"{where}.{name}")
        return self._with_files(section, members, where)

    def _with_files(self, section: str, members: Any, where: str) -> Any:
        """The members, with `…_file` replaced by what the file holds."""
        fields, suffix = self.sections.fields_of(section), _FILE_SUFFIX.lower()
        if not isinstance(members, dict):
            return members
        for name in [name for name in members if name.endswith(suffix) and name not in fields]:
            plain = name.removesuffix(suffix)
            members[plain] = _held(fields[plain], Path(str(members.pop(name))), f"{where}.{name}")
        return members


def _lower_keys(value: Any) -> Any:
    return {str(key).lower(): member for key, member in value.items()} if isinstance(value, dict) else value


class NamedFiles(_Source):
    """Every `…__<NAME>_FILE` gives `…__<NAME>` unless that is a setting of its own (such as `ca_file`)."""

    def __call__(self) -> dict[str, Any]:
        """All that they set; raises `SettingInvalid`: a file cannot be read."""
        found: dict[str, Any] = {}
        for variable, path in os.environ.items():
            if not (variable.upper().startswith(PREFIX) and variable.upper().endswith(_FILE_SUFFIX)):
                continue
            section, _, name = variable[len(PREFIX) : -len(_FILE_SUFFIX)].lower().partition("__")
            fields = self.sections.fields_of(section)
            if section != _TARGETS and name in fields:
                found.setdefault(section, {})[name] = _held(fields[name], Path(path), variable)
        return found


class Credentials(_Source):
    """A credential that is called like a variable sets what the variable would; one for a path is the file itself."""

    def __call__(self) -> dict[str, Any]:
        """All that they set; raises `SettingInvalid`: one cannot be read, or is called like no setting."""
        found: dict[str, Any] = {}
        for path in credentials():
            section, _, name = path.name[len(PREFIX) :].lower().partition("__")
            members = found.setdefault(section, {})
            if section == _TARGETS:
                target, _, name = name.partition("__")
                members = members.setdefault(target, {})
            fields = self.sections.fields_of(section)
            if section == _TARGETS and f"{name}_file" in fields:  # the target reads it again
                name = f"{name}_file"
            if name not in fields:
                raise SettingInvalid(setting=path.name, problem="a credential is the file itself: leave out `_FILE`")
            members[name] = (
                str(path) if "Path" in str(fields[name].annotation) else _held(fields[name], path, path.name)
            )
        return found
