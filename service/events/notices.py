"""Events whose topics are not documented: it is only believed that something about a thing may have changed.

The envelope is taken to be that of profile events (docs/contract.md, "Data profile messages"), every part of it
optional.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.changes import Container, ContainerKind
from service.events.cards import container_of
from service.events.fields import is_usable_id, require_id
from service.events.message import Event
from service.text import lookup
from service.text.times import read_time

#: Where the thing's id stands in `v2.assets.{id}.PATCH`, and the word that says what happened to it.
KEY_ID_INDEX = 2
_IN_DETAILS = ("asset_id", "artifact_id", "id")
_IN_STATE = ("asset_id", "artifact_id", "guid", "id")


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about one thing may have changed; `state` is there where the event carries it."""

    entity_id: str
    container: Container | None
    at_us: int | None
    verb: str
    state: dict[str, Any] | None
    words: tuple[str, ...]

    @classmethod
    def read(cls, event: Event) -> Notice:
        """Read what there is.

        Raises:
            FieldInvalid: no id is given anywhere, or `published` is no time.
        """
        body = event.body
        details, state = lookup.mapping(body.get("details")), body.get("state")
        metadata = lookup.mapping(lookup.at(state, ("metadata",)))
        ids = (
            *(lookup.text(details.get(name)) for name in _IN_DETAILS),
            *(lookup.text(metadata.get(name)) for name in _IN_STATE),
            event.words[KEY_ID_INDEX] if len(event.words) > KEY_ID_INDEX else None,
        )
        usable = tuple(found for found in ids if found and is_usable_id(found))
        return cls(
            entity_id=require_id(("routing key", next(iter(usable), None))),
            container=container_of(details) or container_of(metadata),
            at_us=read_time(body.get("published"), "published"),
            verb=event.words[-1] if event.words else "",
            state=state if isinstance(state, dict) and state else None,
            words=event.words,
        )

    @property
    def is_deletion(self) -> bool:
        """Whether the key says that the thing was deleted."""
        return self.verb.upper() == "DELETE"


def container_named(words: tuple[str, ...]) -> Container | None:
    """The container in a key such as `v2.catalogs.{id}.members.POST`."""
    kinds: dict[str, ContainerKind] = {"catalogs": "catalog", "projects": "project", "spaces": "space"}
    if len(words) <= KEY_ID_INDEX or words[1] not in kinds or not is_usable_id(words[KEY_ID_INDEX]):
        return None
    return Container(kinds[words[1]], words[KEY_ID_INDEX])
