"""Lineage back to the catalog over AMQP: our answers, published to the catalog's exchange with confirms."""

from __future__ import annotations

from collections.abc import Sequence

from service.amqp.channel import UNROUTABLE, Outgoing
from service.amqp.publisher import Publisher
from service.changes import Origin
from service.errors import DeliveryRejected, MirrorError, SettingInvalid, TargetUnavailable, Unroutable
from service.mirror.deliveries import Delivery
from service.settings import AmqpSettings, Settings
from service.targets.base import Target


class CatalogLineage(Target):
    """The catalog's own lineage; what came from its broker is not told to it again."""

    lineage = True
    forwards = False

    def __init__(self, name: str, origins: Sequence[Origin], amqp: AmqpSettings) -> None:
        super().__init__(name, origins)
        self._amqp = amqp
        self._publisher = Publisher(amqp)

    @classmethod
    def create(cls, name: str, settings: Settings) -> CatalogLineage | None:
        """On unless turned off; lineage over REST is not built yet, so `auto` means AMQP."""
        chosen = settings.target(name)
        if chosen.via == "off":
            return None
        if chosen.via == "rest":
            setting = f"CATALOG_MIRROR_TARGETS__{name.upper()}__VIA"
            raise SettingInvalid(setting=setting, problem="this version publishes lineage over amqp only, or off")
        return cls(name, chosen.origins, settings.amqp)

    async def deliver(self, batch: Sequence[Delivery]) -> list[MirrorError | None]:
        """Publish the batch at once and await its confirms."""
        if self._amqp.url is None:
            raise TargetUnavailable(target=self.name, problem="CATALOG_MIRROR_AMQP__URL is not set")
        ready = [delivery for delivery in batch if delivery.document is not None]
        messages = [
            Outgoing(delivery.entity_id, self._key(delivery.entity_id), (delivery.document or "").encode())
            for delivery in ready
        ]
        results = dict(zip(ready, await self._publisher.publish(messages), strict=True)) if messages else {}
        return [self._result(delivery, results) for delivery in batch]

    def _result(self, delivery: Delivery, results: dict[Delivery, str | None]) -> MirrorError | None:
        if delivery not in results:
            return DeliveryRejected(target=self.name, problem="its lineage event is no longer in the store")
        result = results[delivery]
        if result is None:
            return None
        if result == UNROUTABLE:
            key, binding = self._key(delivery.entity_id), self._key("*")
            return Unroutable(routing_key=key, exchange=self._amqp.exchange, binding=binding)
        return TargetUnavailable(target=self.name, problem="the broker refused the message")

    def _key(self, event_id: str) -> str:
        return self._amqp.lineage_key.replace("{event_id}", event_id)

    async def close(self) -> None:
        """Close the publishing connection."""
        await self._publisher.close()
