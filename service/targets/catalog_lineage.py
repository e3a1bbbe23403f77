"""Lineage back to the catalog: our answers, posted to its API, or published to its exchange with confirms."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from service.amqp.channel import UNROUTABLE, Outgoing
from service.amqp.publisher import Publisher
from service.catalog import endpoints
from service.catalog.client import IMPATIENT, CatalogClient
from service.catalog.turns import Lane
from service.changes import CATALOG, Origin
from service.errors import (
    CatalogRejected,
    DataError,
    DeliveryRejected,
    MirrorError,
    SettingInvalid,
    TargetUnavailable,
    TransientError,
    Unroutable,
)
from service.mirror.deliveries import Delivery
from service.settings.model import AmqpSettings, CatalogSettings, Settings
from service.targets.abreast import abreast
from service.targets.base import Sending, Target
from service.targets.confirms import unconfirmed
from service.targets.options import setting_of
from service.targets.tracing import passing
from service.telemetry.traces import headers_of, within

#: Seconds that a batch of posts may take within the budget of calls; a lease is longer.
BATCH_S = 10


class CatalogLineage(Target):
    """The catalog's own lineage; what came from it is not told to it again."""

    lineage = True
    forwards = True
    sources = frozenset({CATALOG})

    @classmethod
    def create(cls, name: str, settings: Settings) -> CatalogLineage | None:
        """On unless turned off; `auto` is REST where the catalog's URL is set, else AMQP."""
        chosen = settings.target(name)
        if chosen.via == "off":
            return None
        if chosen.via == "rest" and settings.catalog.url is None:
            setting = setting_of(name, "VIA")
            raise SettingInvalid(setting=setting, problem="rest needs CATALOG_MIRROR_CATALOG__URL, which is not set")
        if chosen.via == "rest" or (chosen.via == "auto" and settings.catalog.url is not None):
            return LineageOverRest(name, chosen.origins, settings.catalog)
        return LineageOverAmqp(name, chosen.origins, settings.amqp)

    async def deliver(self, batch: Sequence[Delivery]) -> list[MirrorError | None]:
        """Tell the catalog; what is no longer in the store is refused."""
        ready = [delivery for delivery in batch if delivery.document is not None]
        results = dict(zip(ready, await self.tell(ready), strict=True)) if ready else {}
        lost = DeliveryRejected(target=self.name, problem="its lineage event is no longer in the store")
        return [results.get(delivery, lost) for delivery in batch]

    async def plan(self, batch: Sequence[Delivery]) -> list[Sending]:
        """One post or message per event that is still in the store."""
        ready = [delivery for delivery in batch if delivery.document is not None]
        return [Sending(self.to(d.entity_id), d.document or "", (d.delivery_id,)) for d in ready]

    @abstractmethod
    def to(self, event_id: str) -> str:
        """Where an event goes, for people."""

    @abstractmethod
    async def tell(self, events: Sequence[Delivery]) -> list[MirrorError | None]:
        """Tell events that have a document: the result of each, as `deliver` answers it."""


class LineageOverAmqp(CatalogLineage):
    """Published to the catalog's exchange."""

    def __init__(self, name: str, origins: Sequence[Origin], amqp: AmqpSettings) -> None:
        super().__init__(name, origins)
        self._amqp = amqp
        self._publisher = Publisher(amqp)

    @property
    def leads_nowhere(self) -> bool:
        """Without a broker."""
        return self._amqp.url is None

    def to(self, event_id: str) -> str:
        """Exchange and routing key."""
        return f"AMQP {self._amqp.exchange} {self._key(event_id)}"

    async def tell(self, events: Sequence[Delivery]) -> list[MirrorError | None]:
        """Publish all at once and await their confirms."""
        if self._amqp.url is None:
            raise TargetUnavailable(target=self.name, problem="CATALOG_MIRROR_AMQP__URL is not set")
        messages = [Outgoing(one.entity_id, self._key(one.entity_id), _body(one), _headers(one)) for one in events]
        results = await self._publisher.publish(messages)
        return [self._result(one.entity_id, result) for one, result in zip(events, results, strict=True)]

    def _result(self, event_id: str, result: str | None) -> MirrorError | None:
        if result == UNROUTABLE:
            key, binding = self._key(event_id), self._key("*")
            return Unroutable(routing_key=key, exchange=self._amqp.exchange, binding=binding)
        return unconfirmed(self.name, result)

    def _key(self, event_id: str) -> str:
        return self._amqp.lineage_key.replace("{event_id}", event_id)

    async def close(self) -> None:
        """Close the publishing connection."""
        await self._publisher.close()


class LineageOverRest(CatalogLineage):
    """Posted to the catalog's API, an event a call, at the pace of all calls together."""

    def __init__(self, name: str, origins: Sequence[Origin], catalog: CatalogSettings) -> None:
        super().__init__(name, origins)
        self.at_once = max(1, catalog.calls_per_minute * BATCH_S // 60)
        self._concurrency = catalog.concurrency
        self._url = catalog.url or ""
        self._client = CatalogClient(catalog, patience=IMPATIENT)
        self._client_is_open = False

    def to(self, event_id: str) -> str:
        """Method and URL."""
        return f"POST {self._url.rstrip('/')}{endpoints.LINEAGE_PATH}"

    async def tell(self, events: Sequence[Delivery]) -> list[MirrorError | None]:
        """Post several at a time. After the first that could not be told now, the rest is not tried."""
        if not self._client_is_open:
            self._client.open()
            self._client_is_open = True
        return [result for (result,) in await abreast([[event] for event in events], self._post, self._concurrency)]

    async def _post(self, delivery: Delivery) -> MirrorError | None:
        try:
            with within(passing(delivery)):
                await endpoints.post_lineage(self._client.on(Lane.DELIVERY), _body(delivery))
        except CatalogRejected as error:
            return DeliveryRejected(target=self.name, problem=str(error))
        except DataError as error:  # there is no such call, or its answer is absurd: not this event's fault
            return TargetUnavailable(target=self.name, problem=str(error))
        except TransientError as error:
            return error
        return None

    async def close(self) -> None:
        """Close the connections."""
        self._client_is_open = False
        await self._client.close()


def _body(delivery: Delivery) -> bytes:
    return (delivery.document or "").encode()


def _headers(delivery: Delivery) -> dict[str, str]:
    return headers_of(delivery.trace)
