"""What was read of the catalog, as a message is what lay in the queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from service.changes import Container


@dataclass
class Found:
    """One thing as an answer told it: its kind and id, where it lives, and the item, where that cannot be used."""

    kind: str
    #: Empty where the item says none that can be used.
    thing_id: str
    where: Container | None = None
    #: JSON, secrets and all.
    body: bytes = field(default=b"", repr=False)

    @cached_property
    def key(self) -> str:
        """Its name in dead letters, the same for the same thing; of an item without an id, for the same item."""
        container = f"{self.where.kind}/{self.where.id}" if self.where else ""
        words = ("catalog", self.kind, container, self.thing_id)
        digest = sha256("\x00".join(words).encode("utf-8", "surrogatepass"))
        if not self.thing_id:
            digest.update(b"\x00" + self.body)
        return digest.hexdigest()[:40]
