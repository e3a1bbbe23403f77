"""The names of our queues, and of the exchange of ours that spreads events over them where there are several.

A queue is the work of one core of one node of the broker, its leader's; several use more of them. RabbitMQ's
consistent-hash exchange, a plugin that comes with it, gives each event to one queue by its routing key, which names the
thing. Order among queues does not matter, as versions decide which state is the newer one, so each replica consumes
all of them, over one channel: with any number of replicas none is idle, and no queue waits for one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from service.settings.model import AmqpSettings

#: Kind of the exchange that spreads, the plugin that brings it, and the weight of each queue: all alike.
KIND, PLUGIN, WEIGHT = "x-consistent-hash", "rabbitmq_consistent_hash_exchange", "1"


def names(settings: AmqpSettings) -> tuple[str, ...]:
    """Our queues; the first has the name that settings give."""
    return (settings.queue, *(f"{settings.queue}.{number}" for number in range(2, settings.queues + 1)))


def spreader(settings: AmqpSettings) -> str:
    """Name of the exchange that spreads the events."""
    return f"{settings.queue}.hash"


def holder(settings: AmqpSettings) -> str:
    """What is bound to the catalog's exchange: our one queue, or the exchange before several."""
    return settings.queue if settings.queues == 1 else spreader(settings)


def former(settings: AmqpSettings, known: Iterable[str]) -> tuple[str, ...]:
    """Those of the known queues that were ours while settings named more; other names are none of our business."""
    ours = f"{settings.queue}."
    return tuple(
        name
        for name in known
        if name.startswith(ours) and name[len(ours) :].isdecimal() and name not in names(settings)
    )
