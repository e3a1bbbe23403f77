"""What every target that tells changes can be told, in `TARGETS__<NAME>__OPTIONS`."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.errors import SettingInvalid
from service.mirror.effects import PARTS, shape_of
from service.mirror.writer import INSERTS
from service.targets.options import setting_of

#: Fields that may differ: columns of states, and what belongs to assets.
FIELDS = frozenset(name for insert in INSERTS.values() for name in shape_of(insert).names) | {
    name for name, _ in PARTS.values()
}
NoticeName = Literal["drift", "contracts", "gaps", "brakes", "refused"]


def _among(names: Iterable[str], known: Iterable[str], what: str) -> tuple[str, ...]:
    chosen, there = tuple(names), sorted(known)
    for name in chosen:
        if name not in there:
            close = get_close_matches(name, there, 3) or there
            raise ValueError(f"there is no {what} {name!r}; did you mean {', '.join(close)}?")
    return chosen


def _are_kinds(names: tuple[str, ...]) -> tuple[str, ...]:
    return _among(names, INSERTS, "kind")


def _are_fields(names: tuple[str, ...]) -> tuple[str, ...]:
    return _among(names, FIELDS, "field")


class ChangeOptions(BaseModel):
    """Which changes are told, and how. Empty: all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kinds: Annotated[tuple[str, ...], AfterValidator(_are_kinds)] = ()
    #: Ids of catalogs, projects and spaces.
    containers: tuple[str, ...] = ()
    #: Of changes of assets only these types.
    asset_types: tuple[str, ...] = ()
    changes: tuple[Literal["created", "updated", "deleted"], ...] = ()
    #: Only what differs in one of these.
    fields: Annotated[tuple[str, ...], AfterValidator(_are_fields)] = ()
    #: A JMESPath expression that has to be true of the event.
    where: str | None = None
    #: Whether columns, terms and what else belongs to an asset is told, too.
    parts: bool = True
    #: Changes of a thing that wait go out as one.
    collapse: bool = False
    #: What else is told.
    notices: tuple[NoticeName, ...] = ()
    #: Which mirror tells it: the `source` of its events, a URI.
    source: str = Field("urn:catalog-mirror", min_length=1, max_length=1024, pattern=r"^[!-~]+$")


def need(name: str, package: str, extra: str) -> None:
    """Look whether what a target needs is installed.

    Raises:
        SettingInvalid: it is not; says what to install.
    """
    if find_spec(package) is None:
        problem = f"{name} needs the extra `{extra}`: pip install 'catalog-mirror[{extra}]'"
        raise SettingInvalid(setting=setting_of(name, "URL" if extra == "events" else "OPTIONS"), problem=problem)
