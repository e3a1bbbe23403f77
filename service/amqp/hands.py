"""Who has messages of our queues in hand: we and our replicas, or somebody else, or nobody who is there any more.

A node that dies takes its consumer along, not what that had in hand: RabbitMQ 4.3 waits for the node for a minute
(`consumer-disconnected-timeout`), and meanwhile nobody gets those messages and nothing shows as ready. A tool of
somebody else that reads our queue looks the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from service.amqp import management
from service.errors import ManagementUnavailable
from service.settings.model import AmqpSettings

#: How the tags of our consumers begin, on whichever replica.
TAG = "catalog-mirror."
#: Seconds for which messages must be out of our hands all the time: twice by what the figures may be apart.
HELD_S = 30.0


class Hands:
    """Looks at how many messages are out of our hands, one look after the other."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()

    def held(self, at_s: float, elsewhere: int | None) -> int:
        """So many at least were held elsewhere for `HELD_S`; 0 also where that is not known yet.

        Args:
            at_s: the moment of the look, on any steady clock.
            elsewhere: messages that are neither ready nor in our hands; None: nobody can tell.
        """
        looks = self._looks
        if elsewhere is None or elsewhere <= 0:
            looks.clear()
            return 0
        looks.append((at_s, elsewhere))
        while len(looks) > 1 and looks[1][0] <= at_s - HELD_S:
            looks.popleft()
        return min(number for _, number in looks) if looks[0][0] <= at_s - HELD_S else 0


async def elsewhere(settings: AmqpSettings, reports: Sequence[management.QueueReport]) -> int | None:
    """How many messages of our queues are neither ready nor in the hands of our consumers; None: nobody tells."""
    held = 0
    for report in reports:
        if report.unacknowledged is None:
            return None
        held += report.unacknowledged
    if not held:
        return 0
    channels = {channel for report in reports for tag, channel in report.consumers if tag.startswith(TAG)}
    for channel in channels:  # of each replica one, for all queues
        try:
            in_hand = await management.channel_unacknowledged(settings, channel)
        except ManagementUnavailable:  # it shows channels of others to whoever has the tag `monitoring`
            in_hand = None
        if in_hand is None:
            return None
        held -= in_hand
    return held
