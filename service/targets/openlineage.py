"""Lineage to any OpenLineage backend: Marquez, DataHub, IBM's own, another mirror.

What came as OpenLineage goes on as it came; the catalog's lineage, and ours, is told as runs (docs/lineage.md). Events
of one run go in order: the outbox gives out its START before its COMPLETE, and so does a run that we make.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.changes import Origin
from service.errors import DataError, DeliveryRejected, MirrorError, SettingInvalid, TargetUnavailable, TransientError
from service.mirror import deliveries
from service.mirror.deliveries import RUN, Delivery
from service.mirror.store import Store
from service.openlineage import limits, marks, resolving, writing
from service.openlineage.naming import Naming
from service.openlineage.writing import Knowledge
from service.settings.model import OpenLineageSettings, Settings
from service.targets.abreast import abreast
from service.targets.base import Sending, Target
from service.targets.options import options_of, setting_of
from service.targets.posting import Poster, Reply
from service.targets.sign_in import AsCatalog, given
from service.targets.tracing import passing
from service.telemetry.traces import within
from service.text import documents

#: Where backends take single events, and several at once, below their URL.
_PATHS: dict[str, tuple[str, str | None]] = {
    "openlineage": ("/api/v1/lineage", None),
    "ibm": ("/gov_lineage/v2/lineage_events/openlineage", "/gov_lineage/v2/lineage_events/openlineage/batch"),
}
#: Posts at the same time.
_CONCURRENCY = 4


class Options(BaseModel):
    """What this target alone can be told, in `TARGETS__OPENLINEAGE__OPTIONS`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dialect: Literal["openlineage", "ibm"] = "openlineage"
    path: str | None = Field(None, pattern="^/")
    batch_path: str | None = Field(None, pattern="^/")
    batch_max: int = Field(100, ge=1, le=10_000)
    sources: tuple[str, ...] = ()
    sign_in: Literal["token", "catalog"] = "token"
    timeout_s: float = Field(30, gt=0)


@dataclass(slots=True)
class _Parcel:
    """What one delivery comes to: events in order, to be posted, and the fate of the delivery."""

    delivery: Delivery
    events: list[dict[str, Any]]
    result: MirrorError | None = None


class OpenLineage(Target):
    """One OpenLineage backend."""

    lineage = True
    forwards = True
    takes_originals = True
    at_once = 50

    def __init__(
        self, name: str, origins: Sequence[Origin], options: Options, poster: Poster, told: OpenLineageSettings
    ) -> None:
        super().__init__(name, origins)
        single, batch = _PATHS[options.dialect]
        self._path, self._batch_path = options.path or single, options.batch_path or batch
        self._options = options
        self._poster = poster
        self._told = told
        self._naming = Naming(told.names, "CATALOG_MIRROR_OPENLINEAGE__NAMES")
        self._store: Store | None = None
        self.sources = frozenset({name, *options.sources})

    @classmethod
    def create(cls, name: str, settings: Settings) -> OpenLineage | None:
        """On where a URL is set, unless turned off."""
        chosen = settings.target(name)
        if chosen.via == "off" or chosen.url is None:
            return None
        if chosen.via == "amqp":
            raise SettingInvalid(setting=setting_of(name, "VIA"), problem="OpenLineage is told over HTTP alone")
        options = options_of(name, chosen, Options)
        sign_in = AsCatalog(name, settings.catalog) if options.sign_in == "catalog" else given(name, chosen)
        poster = Poster(name, chosen.url, sign_in, options.timeout_s, chosen.ca_file)
        return cls(name, chosen.origins, options, poster, settings.openlineage)

    def attach(self, store: Store) -> None:
        """Look up names and columns there."""
        self._store = store

    async def deliver(self, batch: Sequence[Delivery]) -> list[MirrorError | None]:
        """Post the events of each delivery, START before COMPLETE; what is no longer in the store is refused."""
        parcels = await self._parcels(batch)
        ready = [parcel for parcel in parcels if parcel.events]
        if self._batch_path and len(ready) > 1:
            await self._post_together(ready)
        else:
            await self._post_each(ready)
        return [parcel.result for parcel in parcels]

    async def plan(self, batch: Sequence[Delivery]) -> list[Sending]:
        """One post per event, or per array where the backend takes them."""
        ready = [parcel for parcel in await self._parcels(batch) if parcel.events]
        if self._batch_path and len(ready) > 1:
            return [self._sending(self._batch_path, array) for array in _arrays(ready, self._options.batch_max)]
        return [
            Sending(f"POST {self._poster.url}{self._path}", _text(event), (parcel.delivery.delivery_id,))
            for parcel in ready
            for event in parcel.events
        ]

    def _sending(self, path: str, array: Sequence[_Parcel]) -> Sending:
        events = [event for parcel in array for event in parcel.events]
        ids = tuple(parcel.delivery.delivery_id for parcel in array)
        return Sending(f"POST {self._poster.url}{path}", _text(events), ids)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()

    async def _parcels(self, batch: Sequence[Delivery]) -> list[_Parcel]:
        """What each delivery comes to."""
        known = await self._known(batch)
        return [self._parcel(delivery, known) for delivery in batch]

    async def _known(self, batch: Sequence[Delivery]) -> Knowledge:
        """What the mirror knows of the assets of the catalog's events."""
        bodies = [_body(delivery) for delivery in batch if delivery.entity_kind != RUN]
        ids = sorted({asset_id for body in bodies for asset_id in writing.asset_ids(body)})
        if not ids or self._store is None:
            return Knowledge()
        async with self._store.reading() as connection:
            flows = self._told.column_relationships
            return await resolving.knowledge_of(connection, self._naming, ids, flows)

    def _parcel(self, delivery: Delivery, known: Knowledge) -> _Parcel:
        if delivery.document is None:
            lost = DeliveryRejected(target=self.name, problem="its lineage event is no longer in the store")
            return _Parcel(delivery, [], lost)
        try:
            body = _body(delivery)
            if delivery.entity_kind == RUN:
                told = [marks.marked(body, deliveries.openlineage_id_of(delivery.delivery_id), self._told.producer)]
            else:
                told = writing.run_events(body, known, self._told.producer)
        except DataError as error:
            return _Parcel(delivery, [], DeliveryRejected(target=self.name, problem=str(error)))
        if self._options.dialect == "ibm":
            told = [limits.limited(event) for event in told if limits.takes(event)]
        return _Parcel(delivery, told)

    async def _post_each(self, parcels: Sequence[_Parcel]) -> None:
        """Event by event; runs beside each other. After the first that could not be told now, no run is begun."""
        runs: dict[str, list[_Parcel]] = defaultdict(list)
        for parcel in parcels:
            runs[parcel.delivery.entity_id].append(parcel)
        results = await abreast(list(runs.values()), self._post_one, _CONCURRENCY)
        for parcel, result in zip(chain(*runs.values()), chain(*results), strict=True):
            parcel.result = result

    async def _post_one(self, parcel: _Parcel) -> MirrorError | None:
        for event in parcel.events:
            try:
                with within(passing(parcel.delivery)):
                    reply = await self._poster.post(self._path, event)
            except TransientError as error:
                return error
            if problem := self._poster.judge(reply, parcel.delivery.attempts):
                return problem
        return None

    async def _post_together(self, parcels: Sequence[_Parcel]) -> None:
        """In arrays, in order. Where the backend refuses an array, its events are posted one by one to find which."""
        obstacle: MirrorError | None = None
        for array in _arrays(parcels, self._options.batch_max):
            if obstacle is None:
                obstacle = await self._post_array(array)
            else:
                self._settle(array, obstacle, {}, "")

    async def _post_array(self, array: Sequence[_Parcel]) -> MirrorError | None:
        """One array; answers why the next had better wait."""
        events = [event for parcel in array for event in parcel.events]
        try:
            reply = await self._poster.post(self._batch_path or self._path, events)
        except TransientError as error:
            self._settle(array, error, {}, "")
            return error
        problem = self._poster.judge(reply, max(parcel.delivery.attempts for parcel in array))
        if isinstance(problem, DataError):
            await self._post_each(array)
        else:
            self._settle(array, problem, _failed(reply), reply.told())
        return next((parcel.result for parcel in array if isinstance(parcel.result, TransientError)), None)

    def _settle(
        self, array: Sequence[_Parcel], problem: MirrorError | None, failed: dict[int, dict[str, Any]], told: str
    ) -> None:
        """The fate of each; a backend may name the events that it did not take, by their place in the array."""
        place = 0
        for parcel in array:
            mine = [failed[at] for at in range(place, place + len(parcel.events)) if at in failed]
            place += len(parcel.events)
            parcel.result = problem or (self._refused(mine[0], told) if mine else None)

    def _refused(self, failure: dict[str, Any], told: str) -> MirrorError:
        problem = f"{str(failure.get('reason') or 'no reason')[:200]}; {told}"
        refusal = TargetUnavailable if failure.get("retriable") else DeliveryRejected
        return refusal(target=self.name, problem=problem)


def _arrays(parcels: Sequence[_Parcel], at_most: int) -> list[list[_Parcel]]:
    """Parcels in arrays of so many events; one parcel is never divided."""
    arrays: list[list[_Parcel]] = [[]]
    for parcel in parcels:
        if arrays[-1] and sum(len(other.events) for other in arrays[-1]) + len(parcel.events) > at_most:
            arrays.append([])
        arrays[-1].append(parcel)
    return arrays


def _failed(reply: Reply) -> dict[int, dict[str, Any]]:
    data = reply.data()
    failures = data.get("failed_events") if isinstance(data, dict) else None
    found = [one for one in failures or () if isinstance(one, dict) and isinstance(one.get("index"), int)]
    return {one["index"]: one for one in found}


def _body(delivery: Delivery) -> dict[str, Any]:
    body: dict[str, Any] = documents.parsed_text(delivery.document or "{}")
    return body


def _text(value: Any) -> str:
    return documents.canonical(value).decode()
