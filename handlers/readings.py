"""What a mirror holds, recorded as the readings that would tell it (`capture --mirrored`), for rehearsals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import msgspec

from service.changes import Change, ContainerKind, Rank
from service.errors import FieldInvalid
from service.events.fields import Body, require_id, typed
from service.events.message import Event
from service.events.stored import beside, told
from service.kinds import THINGS
from service.pipeline.routing import Evidence, handles

#: Where the kind stands in `mirror.{kind}.READING`.
KIND_INDEX = 1
#: Kinds that have a document of their own.
_KINDS = frozenset({"container", "asset", "data_profile", *THINGS})


class Reading(Body, frozen=True):
    """One state: of what, how new, what stands beside its document, and the document."""

    id: str
    at_us: int | None
    rank: Literal["LISTED", "READ", "EVENT"]
    document: dict[str, Any]
    container_kind: ContainerKind | None = None
    container_id: str | None = None
    beside: dict[str, str | None] = msgspec.field(default_factory=dict)


@handles("mirror.*.READING", evidence=Evidence.OURS)
def reading_recorded(event: Event) -> Iterator[Change]:
    """The state as its document says it, as new as it was."""
    kind = event.words[KIND_INDEX]
    if kind not in _KINDS:
        raise FieldInvalid(field="routing_key", problem="no kind of thing that is read")
    reading = typed(Reading, event.body, "")
    row = {name: reading.beside.get(name) for name in beside(kind)}
    if kind == "container" and row["kind"] not in get_args(ContainerKind):
        raise FieldInvalid(field="beside.kind", problem="no kind of container")
    row |= {"container_kind": reading.container_kind, "container_id": reading.container_id}
    change = told(kind, require_id(("id", reading.id)), row, reading.document)
    version = msgspec.structs.replace(change.version, at_us=reading.at_us, rank=Rank[reading.rank])
    yield msgspec.structs.replace(change, version=version)
