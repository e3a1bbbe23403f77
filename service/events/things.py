"""Makes changes of the catalog's JSON about things, as `service.kinds` declare where everything stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.changes import Container, ContainerKind, ContainerSaved, Rank, ThingSaved, Version
from service.errors import FieldInvalid
from service.events.fields import MAX_ID_BYTES, is_usable_id
from service.kinds import Kind
from service.kinds.model import PARENT, places
from service.text import lookup
from service.text.documents import canonical, digest_of, documents_of
from service.text.times import to_datetime

#: Fields that change without the thing changing.
VOLATILE: tuple[tuple[str, ...], ...] = (
    ("href",),
    ("metadata", "href"),
    ("metadata", "url"),
    ("metadata", "usage"),
    ("metadata", "version"),
    ("metadata", "rating"),
    ("metadata", "total_ratings"),
)


def _time(value: Any) -> Any:
    moment = lookup.moment(value)
    return None if moment is None else to_datetime(moment)


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "text": lookup.text,
    "integer": lookup.integer,
    "number": lookup.number,
    "truth": lookup.truth,
    "time": _time,
}


def thing_change(
    kind: Kind, item: dict[str, Any], container: Container | None, at_us: int | None, parent: str | None = None
) -> ThingSaved:
    """One item of a listing, or one answer, as a change.

    Args:
        item: with secrets blanked already.
        parent: the id of what it was listed below.

    Raises:
        FieldInvalid: it has no id.
    """
    document, steady = documents_of(item, VOLATILE)
    seen = {**item, PARENT: parent}
    if kind.derived is not None:
        seen |= kind.derived(item)
    values = kind.row(*(_CONVERT[field.type](lookup.first(seen, field.places)) for field in kind.fields))
    version = Version(at_us, Rank.READ, steady, digest_of(document.digest + canonical([parent])))
    return ThingSaved(kind.name, thing_id(kind, item, container), version, document, values, container)


def thing_id(kind: Kind, item: dict[str, Any], container: Container | None) -> str:
    """The id of an item: its own, or a hash of what names it.

    Raises:
        FieldInvalid: it has none.
    """
    found = lookup.first(item, kind.id_places)
    if isinstance(found, str) and is_usable_id(found):
        return f"{container.id}/{found}" if kind.is_named_within and container else found
    named = [lookup.first(item, paths) for paths in kind.name_places]
    if not any(named):
        problem = f"an item of kind {kind.name} has text of 1 to {MAX_ID_BYTES} bytes there"
        raise FieldInvalid(field="id", problem=problem)
    return digest_of(canonical(named)).hex()


def container_change(kind: ContainerKind, item: dict[str, Any], at_us: int | None) -> ContainerSaved:
    """A catalog, project or space, as the catalog lists it.

    Raises:
        FieldInvalid: it has no id.
    """
    found = lookup.first(item, places("metadata.guid|metadata.id"))
    if not isinstance(found, str) or not is_usable_id(found):
        raise FieldInvalid(field="metadata.guid", problem=f"an id is text of 1 to {MAX_ID_BYTES} bytes")
    document, steady = documents_of(item, VOLATILE)
    created = lookup.first(item, places("metadata.create_time|metadata.created_at"))
    return ContainerSaved(
        container=Container(kind, found),
        version=Version(at_us, Rank.READ, steady, document.digest),
        document=document,
        name=lookup.text(lookup.at(item, ("entity", "name"))),
        description=lookup.text(lookup.at(item, ("entity", "description"))),
        state="active",
        is_governed=lookup.truth(lookup.at(item, ("entity", "is_governed"))),
        creator_id=lookup.text(lookup.first(item, places("metadata.creator_id|entity.creator"))),
        created_at_us=lookup.moment(created),
    )
