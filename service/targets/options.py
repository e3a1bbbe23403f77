"""What a target alone can be told, in `TARGETS__<NAME>__OPTIONS`, and how its settings are called."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from service.errors import SettingInvalid
from service.settings.model import TargetSettings

_Model = TypeVar("_Model", bound=BaseModel)


def setting_of(name: str, member: str) -> str:
    """The name of a target's setting, as the environment has it."""
    return f"CATALOG_MIRROR_TARGETS__{name.upper()}__{member}"


def options_of(name: str, chosen: TargetSettings, model: type[_Model]) -> _Model:
    """The options of a target.

    Raises:
        SettingInvalid: names the first that cannot be used; never shows a value.
    """
    try:
        return model.model_validate(chosen.options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
        raise SettingInvalid(setting=setting_of(name, "OPTIONS"), problem=problem) from None
