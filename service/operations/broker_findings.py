"""What `doctor` finds at the broker: the way in, exchange, queue, its bindings, and what its management API tells."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aio_pika.abc import AbstractConnection

from service.amqp import management, queues, topology
from service.amqp.connection import connected, translated, version_of
from service.errors import MirrorError
from service.events.keys import Pattern
from service.operations.findings import Finding, Verdict, checked
from service.pipeline.building import bindings_of
from service.settings.model import Settings, hide_password


async def broker_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Everything at the broker, as far as one can get."""
    if settings.amqp.url is None and settings.catalog.url is not None:
        yield Finding("broker", Verdict.OK, "none is set: the catalog is polled")
        return
    if settings.amqp.url is None:
        remedy = "Set CATALOG_MIRROR_AMQP__URL, or AMQP__URL_FILE, to amqps://user:password@host:5671/vhost."
        yield Finding("broker", Verdict.FAILED, "no broker is set", remedy)
        return
    try:
        with translated(settings.amqp):
            async with connected(settings.amqp, "doctor") as connection:
                yield Finding("broker", Verdict.OK, hide_password(settings.amqp.url.get_secret_value()))
                yield await checked("exchange", lambda: _exchange(connection, settings))
                ours = [await _queue(connection, settings, name) for name in queues.names(settings.amqp)]
                for one in ours:
                    yield one
                version = version_of(connection)
    except MirrorError as error:
        yield Finding("broker", Verdict.FAILED, str(error), error.advice())
        return
    verdicts = {one.verdict for one in ours}
    if Verdict.FAILED not in verdicts:
        async for finding in _as_managed(settings, version, declared=verdicts == {Verdict.OK}):
            yield finding


async def _exchange(connection: AbstractConnection, settings: Settings) -> str:
    await topology.look_at_exchange(connection, settings.amqp)
    return f"{settings.amqp.exchange} is there"


async def _queue(connection: AbstractConnection, settings: Settings, name: str) -> Finding:
    try:
        ready = await topology.ready_messages(connection, settings.amqp, name)
    except MirrorError as error:
        return Finding("queue", Verdict.FAILED, str(error), error.advice())
    if ready is None:
        remedy = f"`run` or `catalog-mirror topology apply` makes it, with {topology.queue_arguments(settings.amqp)}."
        if not settings.amqp.declare_queue:
            remedy = f"Ask the broker's owner for it, bound with {bindings_of(settings)}."
        return Finding("queue", Verdict.WARNING, f"{name} does not exist yet", remedy)
    if settings.amqp.declare_queue and not await topology.arguments_match(connection, settings.amqp, name):
        remedy = f"It stays in use. Settings ask for {topology.queue_arguments(settings.amqp)}."
        return Finding("queue", Verdict.WARNING, f"{name} has other arguments, {ready} messages ready", remedy)
    return Finding("queue", Verdict.OK, f"{name} has {ready} messages ready")


async def _as_managed(settings: Settings, version: tuple[int, ...], *, declared: bool) -> AsyncIterator[Finding]:
    """What only the management API tells; `declared`: the queue is known to have our arguments."""
    amqp = settings.amqp
    if amqp.management_url is None:
        yield _unmanaged(version, declared=declared and amqp.declare_queue)
        return
    try:
        reports = {name: await management.queue_report(amqp, name) for name in queues.names(amqp)}
        bindings = await management.bindings_of(amqp, queues.holder(amqp))
    except MirrorError as error:
        yield Finding("management API", Verdict.FAILED, str(error), error.advice())
        return
    yield Finding("management API", Verdict.OK, hide_password(amqp.management_url.get_secret_value()))
    if bindings is not None:
        yield _bindings(settings, bindings)
    for name, report in reports.items():
        if report is not None:
            yield _deliveries(settings, name, report)
            if not report.has_majority:
                found = f"{report.online} of {report.members} members of {name} are at work"
                remedy = "Start the broker's other nodes: nothing comes out of the queue, or into it."
                yield Finding("majority", Verdict.FAILED, found, remedy)


def _unmanaged(version: tuple[int, ...], *, declared: bool) -> Finding:
    if version >= (management.LIMITED_SINCE,) and not declared:
        return Finding("delivery limit", Verdict.WARNING, *management.LIMIT_UNKNOWN)
    found = (
        "not asked, as AMQP__MANAGEMENT_URL is not set: a full or purged queue, or one that is not bound, is not seen"
    )
    return Finding("management API", Verdict.OK, found)


def _deliveries(settings: Settings, queue: str, report: management.QueueReport) -> Finding:
    if report.drops_soon:
        error = management.drops_too_soon(settings.amqp, queue, report)
        return Finding("delivery limit", Verdict.FAILED, str(error), error.advice())
    return Finding("delivery limit", Verdict.OK, str(report.delivery_limit or "none"))


def _bindings(settings: Settings, bound: list[topology.Binding]) -> Finding:
    """Whether our queue gets what we have handlers for."""
    amqp, there = settings.amqp, [Pattern(pattern) for exchange, pattern in bound if exchange == settings.amqp.exchange]
    missing = [ours for ours in map(Pattern, bindings_of(settings)) if not any(_covers(one, ours) for one in there)]
    if not missing:
        return Finding("bindings", Verdict.OK, f"{len(there)} to {amqp.exchange}")
    found = f"not bound to {amqp.exchange} with {', '.join(pattern.text for pattern in missing)}"
    if amqp.declare_queue:
        remedy = "`run` or `catalog-mirror topology apply` binds it; look at what they say."
        return Finding("bindings", Verdict.WARNING, found, remedy)
    remedy = (
        f"Ask the broker's owner to bind {queues.holder(amqp)!r} to {amqp.exchange!r} with that: no such event comes."
    )
    return Finding("bindings", Verdict.WARNING if there else Verdict.FAILED, found, remedy)


def _covers(wide: Pattern, narrow: Pattern) -> bool:
    """Whether what one pattern binds, the other binds too; `*` and `#` of the narrow one are taken as any one word."""
    return wide == narrow or wide.matches(narrow.words)
