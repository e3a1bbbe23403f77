"""What the typed bodies have in common: ids, containers, and errors that name the field."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from service.changes import Container
from service.errors import FieldInvalid
from service.text.documents import is_clean

#: Bytes of an id; two longer ones would not fit an index entry of PostgreSQL, of 2,704 bytes.
MAX_ID_BYTES = 1024


def _usable_id(value: str) -> str:
    if not is_clean(value):
        raise ValueError("an id with a character that no store can hold (NUL or half a surrogate pair)")
    if len(value.encode()) > MAX_ID_BYTES:
        raise ValueError(f"an id of {len(value.encode())} bytes; at most {MAX_ID_BYTES} are stored")
    return value


#: An id is text that nobody but the catalog understands: no UUID is asked for. Empty text means "not said".
Id = Annotated[str, AfterValidator(_usable_id)]


class Body(BaseModel):
    """Base of typed bodies: a wrong type is an error, an unknown field is not."""

    model_config = ConfigDict(strict=True, extra="ignore")


B = TypeVar("B", bound=Body)


def typed(model: type[B], value: Any, where: str) -> B:
    """The value as `model`.

    Raises:
        FieldInvalid: with the path of the first field that does not fit; never with its value.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        path = ".".join([where, *map(str, first["loc"])]).strip(".")
        raise FieldInvalid(field=path, problem=first["msg"]) from None


class ContainerFields(Body):
    """The three ways to name a container.

    A project's or space's asset also carries a `catalog_id`, of a hidden catalog behind it, so that one counts least
    (docs/contract.md, "Containers").
    """

    catalog_id: Id | None = None
    project_id: Id | None = None
    space_id: Id | None = None

    def container(self) -> Container | None:
        """The container these fields name, if any."""
        if self.project_id:
            return Container("project", self.project_id)
        if self.space_id:
            return Container("space", self.space_id)
        return Container("catalog", self.catalog_id) if self.catalog_id else None


def require_id(candidates: tuple[str | None, ...], field: str) -> str:
    """The first id that says something; raises `FieldInvalid` where none does."""
    for candidate in candidates:
        if candidate:
            return candidate
    raise FieldInvalid(field=field, problem="no id is given")


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
