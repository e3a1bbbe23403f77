"""What the typed bodies have in common: ids, containers, and errors that name the field."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from service.changes import Container
from service.errors import FieldInvalid
from service.text.documents import fitted, is_clean

#: Bytes of an id; two longer ones would not fit an index entry of PostgreSQL, of 2,704 bytes.
MAX_ID_BYTES = 1024
#: How msgspec names the place of what it refuses: `Expected `str`, got `int` - at `$.details.ids[0]``.
_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_INDEX = re.compile(r"\[(\d+)\]")


class Body(msgspec.Struct, frozen=True):
    """Base of typed bodies: a wrong type is an error, an unknown field is not."""


B = TypeVar("B", bound=Body)


def typed(model: type[B], value: Any, where: str) -> B:
    """The value as `model`.

    Raises:
        FieldInvalid: with the path of the first field that does not fit; never with its value.
    """
    try:
        return fitted(value, model)
    except msgspec.ValidationError as error:
        told = str(error)
        place = _PLACE.search(told)
        path = _INDEX.sub(r".\1", place[1]) if place else ""
        raise FieldInvalid(field=".".join(filter(None, (where, path))), problem=_PLACE.sub("", told)) from None


#: An id with the path of the field that it is in. An id is text that nobody but the catalog understands: no UUID is
#: asked for. Empty text means "not said".
NamedId = tuple[str, str | None]


def first_id(*candidates: NamedId) -> str | None:
    """The first id that says something, None where none does.

    Raises:
        FieldInvalid: no store can hold it as a key.
    """
    for field, value in candidates:
        if value:
            return _usable(value, field)
    return None


def require_id(*candidates: NamedId) -> str:
    """The first id that says something.

    Raises:
        FieldInvalid: none does, which is told of the first field; or no store can hold it as a key.
    """
    found = first_id(*candidates)
    if found is None:
        raise FieldInvalid(field=candidates[0][0], problem="no id is given")
    return found


def _usable(value: str, field: str) -> str:
    if not is_clean(value):
        problem = "an id with a character that no store can hold (NUL or half a surrogate pair)"
        raise FieldInvalid(field=field, problem=problem)
    if len(value) > MAX_ID_BYTES // 4 and len(value.encode()) > MAX_ID_BYTES:
        problem = f"an id of {len(value.encode())} bytes; at most {MAX_ID_BYTES} are stored"
        raise FieldInvalid(field=field, problem=problem)
    return value


class ContainerFields(Body, frozen=True):
    """The three ways to name a container.

    A project's or space's asset also carries a `catalog_id`, of a hidden catalog behind it, so that one counts least
    (docs/contract.md, "Containers").
    """

    catalog_id: str | None = None
    project_id: str | None = None
    space_id: str | None = None

    def container(self, where: str) -> Container | None:
        """The container these fields, which stand at `where`, name, if any; raises as `first_id`."""
        if self.project_id:
            return Container("project", _usable(self.project_id, f"{where}.project_id"))
        if self.space_id:
            return Container("space", _usable(self.space_id, f"{where}.space_id"))
        return Container("catalog", _usable(self.catalog_id, f"{where}.catalog_id")) if self.catalog_id else None


def is_usable_id(value: str) -> bool:
    """Whether every store can hold this id, as a key."""
    return bool(value) and is_clean(value) and len(value.encode()) <= MAX_ID_BYTES


def key_id(words: tuple[str, ...], index: int) -> str | None:
    """The id in a routing key, if there is a usable one."""
    word = words[index] if len(words) > index else ""
    return word if is_usable_id(word) else None


def column_count(columns: Any, attachment_id: Any) -> int | None:
    """How many columns a profile has found; None where it does not say: its findings are in a document beside it."""
    if not isinstance(columns, list) or (not columns and attachment_id):
        return None
    return len(columns)
