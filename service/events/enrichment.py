"""The message that a metadata enrichment area was created; its body is not documented, so nothing in it is believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.changes import Rank, Version
from service.events.fields import key_id, require_id
from service.events.message import Event
from service.text.documents import Document, document
from service.text.times import read_time

#: Where the area's id stands in `v2.metadata_enrichment.{id}.create_enrichment_area`.
KEY_ID_INDEX = 2


@dataclass(frozen=True, slots=True)
class EnrichmentAreaEvent:
    """An enrichment area exists; `body` is kept as it is."""

    area_id: str
    at_us: int | None
    body: dict[str, Any]

    @classmethod
    def read(cls, event: Event) -> EnrichmentAreaEvent:
        """The id comes from the routing key; `published` counts as the time if it happens to be there.

        Raises:
            FieldInvalid: the key holds no id, or `published` is no time.
        """
        area_id = require_id(("routing key", key_id(event.words, KEY_ID_INDEX)))
        return cls(area_id, read_time(event.body.get("published"), "published"), event.body)

    def version(self, kept: Document) -> Version:
        """Newest time, then digest."""
        return Version(self.at_us, Rank.EVENT, kept.digest, kept.digest)

    def document(self) -> Document:
        """The body as it is kept."""
        return document(self.body)
