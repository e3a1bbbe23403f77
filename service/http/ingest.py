"""What comes in over HTTP goes the way of what comes from the broker: pipeline, handler, one transaction.

Events are judged before anything is written, so a client learns at once what it has to mend; it gets an answer after
the transaction has committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from service.changes import Origin
from service.errors import DataError, HandlerFailed
from service.events.lineage import LineageEvent
from service.events.message import Event, Message
from service.http import published
from service.http.batching import Batcher
from service.http.patience import Patience
from service.http.problems import Problem, refused
from service.mirror.store import Store
from service.openlineage import resolving, tolerance
from service.openlineage.naming import Naming
from service.openlineage.reading import datasets_of
from service.openlineage.renaming import Renaming
from service.pipeline.decoding import Read
from service.pipeline.pipeline import Pipeline
from service.pipeline.rederiving import posted
from service.settings.model import HttpSettings, LineageSettings, OpenLineageSettings, PipelineSettings
from service.text import documents

#: Why an event is not kept although nothing is wrong with it.
TOO_OLD = "It happened longer ago than RETENTION__LINEAGE keeps lineage."
#: Assets that one event may name, as a share of the edges that one question may read.
_SHARE_OF_EDGES = 10


@dataclass(frozen=True, slots=True)
class Received:
    """What became of posted OpenLineage events, each named by its place."""

    number: int
    #: Those that are too old to be kept.
    expired: list[int]
    #: What of an event was changed or left out so that the rest could be used.
    warnings: dict[int, list[str]]


class Ingest:
    """The way in."""

    def __init__(
        self,
        store: Store,
        pipeline: Pipeline,
        http: HttpSettings,
        bodies: PipelineSettings,
        told: OpenLineageSettings,
        lineage: LineageSettings,
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        self._max_batch = http.max_batch
        self._max_assets = http.max_edges // _SHARE_OF_EDGES
        self._max_depth = bodies.max_depth
        self._max_bytes = bodies.max_body_bytes
        self._patience = Patience(http.answer_within_s)
        self._naming = Naming(told.names, "CATALOG_MIRROR_OPENLINEAGE__NAMES")
        self.renaming = Renaming(lineage.names)
        self._lookups: Batcher[dict[str, Any], dict[str, Any]] = Batcher(self._look_up, bodies.batch_max)
        self._commits: Batcher[Read, DataError | None] = Batcher(self._commit, bodies.batch_max)

    async def lineage_event(self, body: bytes, sender: str) -> str:
        """Take in an event of the catalog's form; answers its id.

        Raises:
            DataError, Problem: it cannot be used; nothing is written.
            StoreUnavailable, Problem (503): it may be sent again.
        """
        return await self._patience.wait_for(self._take_lineage_event(body, sender))

    async def openlineage(self, body: bytes, sender: str) -> Received:
        """Take in one OpenLineage event, or an array of them in one transaction; raises as `lineage_event`."""
        return await self._patience.wait_for(self._take_openlineage(body, sender))

    async def _take_lineage_event(self, body: bytes, sender: str) -> str:
        value = published.check(documents.read(body, self._max_depth))
        event = LineageEvent.read(Event("", (), value))
        self._check_size(len(event.edges))
        if await self._write([Message(f"api.{sender}.lineage_events.POST", body)]):
            raise Problem(409, "expired", TOO_OLD)
        return event.event_id

    async def _take_openlineage(self, body: bytes, sender: str) -> Received:
        value, left_out = tolerance.read(body, self._max_depth)
        events = value if isinstance(value, list) else [value]
        if len(events) > self._max_batch:
            message = f"There are {len(events)} events, more than HTTP__MAX_BATCH allows ({self._max_batch})."
            raise Problem(413, "request_too_large", message)
        warnings: dict[int, list[str]] = {0: left_out} if left_out else {}
        for place, event in enumerate(events):
            with _told_place(place if isinstance(value, list) else None):
                events[place], told = tolerance.mended(event)
                self._check_size(sum(1 for _ in datasets_of(events[place])))
                if told:
                    warnings[place] = [*warnings.get(place, ()), *told]
        messages = [posted(envelope, sender) for envelope in await self._lookups.do(events)]
        received = Received(len(events), await self._write(messages), warnings)
        self._pipeline.metrics.mended.inc(sum(map(len, warnings.values())))
        return received

    def _check_size(self, assets: int) -> None:
        if assets > self._max_assets:
            message = f"The event names {assets} assets, more than HTTP__MAX_EDGES allows ({self._max_assets})."
            raise Problem(413, "request_too_large", message)

    async def _write(self, messages: Sequence[Message]) -> list[int]:
        """All of them in one transaction, or none where one cannot be used; answers which are too old to be kept."""
        for place, one in enumerate(messages):
            if len(one.body) > self._max_bytes:
                with _told_place(place if len(messages) > 1 else None):
                    raise Problem(413, "request_too_large", self._too_large(len(one.body)))
        reads = await self._pipeline.decode(messages)
        for place, read in enumerate(reads):
            if read.error is not None:
                with _told_place(place if len(reads) > 1 else None):
                    raise read.error
        errors = [error for error in await self._commits.do(reads) if error is not None]
        if errors:
            told = "; ".join(sorted({str(error) for error in errors})[:3])
            message = f"{len(errors)} of {len(messages)} events were kept as dead letters: {told}"
            raise Problem(422, "dead_lettered", message)
        return [place for place, read in enumerate(reads) if read.expired]

    def _too_large(self, size: int) -> str:
        return f"With its assets the event has {size} bytes; PIPELINE__MAX_BODY_BYTES allows {self._max_bytes}."

    async def _look_up(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        async with self._store.reading() as connection:
            return await resolving.envelopes(connection, self._naming, self.renaming, events)

    async def _commit(self, reads: list[Read]) -> list[DataError | None]:
        """One transaction; answers for each event why it became a dead letter, if it did."""
        outcome = await self._pipeline.commit(reads, Origin.LIVE)
        return [outcome.failed.get(place) for place in range(len(reads))]


@contextmanager
def _told_place(place: int | None) -> Iterator[None]:
    """What goes wrong inside says which event of an array it is about, counted from 0."""
    try:
        yield
    except Problem as problem:
        raise problem if place is None else Problem(problem.status, problem.code, f"Event {place}: {problem}") from None
    except HandlerFailed:
        raise Problem(500, "internal_error", "A handler of the mirror failed; its log tells more.") from None
    except DataError as error:
        if place is None:
            raise
        raise refused(error, f"Event {place}: ") from None
