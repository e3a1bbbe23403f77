"""What a producer of OpenLineage posts: mended, named, made into lineage, and told again to whoever wants it."""

from __future__ import annotations

from service.errors import DataError
from service.events.message import Message
from service.openlineage import reading, resolving
from service.openlineage.naming import Naming, paths_of
from service.openlineage.renaming import NO_RULES
from service.openlineage.spelling import spellings
from service.openlineage.tolerance import mended
from service.pipeline.rederiving import posted
from service.text import documents
from tests.fuzz.entries.bodies import DECODER, SETTINGS, settled
from tests.fuzz.harness import Bound, Entry

NAMING = Naming({}, "CATALOG_MIRROR_OPENLINEAGE__NAMES")


def take(raw: bytes) -> None:
    value = documents.read(raw, SETTINGS.max_depth)
    for told in value if isinstance(value, list) else [value]:
        event, _ = mended(told)
        again, changed = mended(event)
        assert again == event
        assert not changed
        names = {name for one in resolving._name_sets(event) for name in one}
        for name in names:
            assert name in spellings(name) or spellings(name)
            paths_of(name)
        envelope = reading.envelope(event, [], {name: NO_RULES.of(name) for name in names})
        message: Message = posted(envelope, "fuzz")
        settled(DECODER.read(message))


ENTRY = Entry(take, (DataError,), Bound(calls_per_byte=300))
