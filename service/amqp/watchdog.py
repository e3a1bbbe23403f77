"""Watches over the consumer: a connection that came back without its consumer looks healthy and is not.

Dead means: messages lie ready and none is delivered, or the oldest message in memory is older than the deadline. The
queues are asked over a connection of its own. First the channel is made anew, then the connection; then `/livez` fails.
An outage of the broker is not death: then there is nothing to ask.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import structlog
from aio_pika.abc import AbstractConnection

from service.amqp import hands, management, topology
from service.amqp.connection import connected, translated, vhost
from service.amqp.consumer import Consumer, State
from service.amqp.hands import Hands
from service.amqp.tally import Accounts
from service.errors import (
    BrokerUnavailable,
    ManagementUnavailable,
    MessagesHeld,
    MirrorError,
    QueueWithoutMajority,
    TopologyMissing,
)
from service.settings.model import AmqpSettings
from service.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

#: Looks at a dead consumer before each next remedy: channel, connection, giving up.
REMEDIES = ("channel", "connection")


class Watchdog:
    """Looks at the consumer every interval."""

    def __init__(
        self,
        settings: AmqpSettings,
        consumer: Consumer,
        deadline_s: float,
        metrics: Metrics,
        on_gap: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._deadline_s = deadline_s
        self._metrics = metrics
        self._on_gap = on_gap
        #: By queue.
        self._accounts: defaultdict[str, Accounts] = defaultdict(Accounts)
        self._hands = Hands()
        self._seen = -1
        self._strikes = 0
        self.alive = True
        self.ready_messages: int | None = None
        #: What is wrong with a queue, or with whom we ask about it.
        self.problem: MirrorError | None = None

    async def run(self) -> None:
        """Look until cancelled; the probing connection is made anew after an outage."""
        while True:
            with suppress(BrokerUnavailable, TopologyMissing), translated(self._settings):
                async with connected(self._settings, "watchdog") as connection:
                    await self._look_while_connected(connection)
            self._judge_without_broker()
            await asyncio.sleep(self._settings.watchdog_interval_s)

    async def _look_while_connected(self, connection: AbstractConnection) -> None:
        while not connection.is_closed:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                self.ready_messages = await self._ready(connection)
            self._metrics.queue_messages.set(math.nan if self.ready_messages is None else self.ready_messages)
            self.judge()
            await self._measure()
            await asyncio.sleep(self._settings.watchdog_interval_s)

    async def _ready(self, connection: AbstractConnection) -> int | None:
        """Messages that lie ready in all queues together; None where there is none of them."""
        looks = [await topology.ready_messages(connection, self._settings, name) for name in self._consumer.queues]
        there = [number for number in looks if number is not None]
        return sum(there) if there else None

    async def _measure(self) -> None:
        """Ask how the queues are and what they lost, where the management API may be asked."""
        try:
            asked = {name: await management.queue_report(self._settings, name) for name in self._consumer.queues}
        except ManagementUnavailable as error:
            self._metrics.queue_messages_held.set(math.nan)
            self._notice(error)
            return
        for name, report in asked.items():
            if report is None or not report.has_majority:  # its figures stand still, or it is no more
                self._accounts.pop(name, None)
        reports = {name: report for name, report in asked.items() if report is not None}
        stopped = next((name for name, report in reports.items() if not report.has_majority), None)
        if stopped is not None or not reports:
            self._hands = Hands()
            self._notice(_without_majority(stopped, reports[stopped]) if stopped else None)
        else:
            self._notice(await self._held(list(reports.values())))
        await self._act(reports)

    async def _act(self, reports: Mapping[str, management.QueueReport]) -> None:
        at_work = {name: report for name, report in reports.items() if report.has_majority}
        if any(one.drops_soon for one in at_work.values()) and self._consumer.state is State.CONSUMING:
            self._consumer.restart("channel")  # which finds the limit before it consumes again
        if at_work:
            free = [report.bytes_free for report in at_work.values() if report.bytes_free is not None]
            self._metrics.queue_bytes_free.set(min(free, default=math.nan))
        for name, report in at_work.items():
            await self.look_for_gaps(name, report, time.monotonic())

    async def _held(self, reports: Sequence[management.QueueReport]) -> MessagesHeld | None:
        elsewhere = await hands.elsewhere(self._settings, reports)
        held = self._hands.held(time.monotonic(), elsewhere)
        self._metrics.queue_messages_held.set(math.nan if elsewhere is None else held)
        if not held:
            return None
        place = {"queue": self._settings.queue, "vhost": vhost(self._settings)}
        return MessagesHeld(messages=held, seconds=hands.HELD_S, **place)

    def _notice(self, problem: MirrorError | None) -> None:
        """Have it shown for as long as it lasts, and say it once."""
        if problem and str(problem) != str(self.problem):
            log.warning("queue_not_well", why=problem.error_class, problem=str(problem), remedy=problem.advice())
        self.problem = problem

    async def look_for_gaps(self, queue: str, report: management.QueueReport, at_s: float) -> None:
        """Tell what a queue lost, by what vanished; that it is full counts alone where nobody could count."""
        accounts = self._accounts[queue]
        vanished = accounts.vanished(at_s, report.tally) if report.tally else 0
        if vanished and report.is_half_full:
            log.warning("queue_drops", queue=queue, messages=vanished, bytes_max=report.bytes_max)
            # Without a number: it goes on, and is one gap for as long as that is open.
            detail = f"queue {queue} is full ({report.bytes_max} bytes): its oldest messages are dropped"
            await self._on_gap("queue_full", detail)
        elif report.is_full and accounts.may_hide:
            detail = f"queue {queue} is full ({report.bytes_max} bytes): what it has dropped nobody counted"
            await self._on_gap("queue_full", detail)
        elif vanished:
            detail = f"{vanished} messages are gone from queue {queue} that nobody took: purged, dropped or expired"
            await self._on_gap("queue_purged", detail)

    def judge(self) -> None:
        """Compare with the last look; act on a dead consumer."""
        consumer, seen = self._consumer, self._seen
        self._seen = consumer.deliveries_seen
        starving = bool(self.ready_messages) and consumer.deliveries_seen == seen and not consumer.oldest_in_hand_s
        stuck = consumer.oldest_in_hand_s > self._deadline_s
        if consumer.state is not State.CONSUMING or not (starving or stuck):
            self._strikes, self.alive = 0, True
        else:
            self._strike("starving" if starving else "stuck")
        self._metrics.consumer_alive.set(self.alive and self._strikes == 0)

    def _judge_without_broker(self) -> None:
        self.ready_messages = None
        self._metrics.queue_messages.set(math.nan)
        self.judge()

    def _strike(self, how: str) -> None:
        self._strikes += 1
        if self._strikes > len(REMEDIES):
            self.alive = False
            log.error("consumer_dead", how=how)
            return
        what = REMEDIES[self._strikes - 1]
        log.warning("consumer_restarted", how=how, what=what, ready=self.ready_messages)
        self._consumer.restart(what)


def _without_majority(queue: str, report: management.QueueReport) -> QueueWithoutMajority:
    return QueueWithoutMajority(members=report.members, online=report.online, queue=queue)
