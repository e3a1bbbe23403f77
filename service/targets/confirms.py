"""What the broker's answers to published messages mean for the deliveries that they carried."""

from __future__ import annotations

from service.amqp.channel import TOO_LARGE
from service.errors import DeliveryRejected, MirrorError, TargetUnavailable


def unconfirmed(target: str, result: str | None) -> MirrorError | None:
    """Why a message that was routed did not arrive; None: it did."""
    if result is None:
        return None
    if result == TOO_LARGE:
        problem = "it is larger than the broker takes: ask its owner for a larger `max_message_size`"
        return DeliveryRejected(target=target, problem=problem)
    return TargetUnavailable(target=target, problem="the broker refused the message")
