"""The pipeline that settings describe, with its routes: for the service, for commands, and for what people replay."""

from __future__ import annotations

from collections.abc import Sequence

from service.mirror.store import Store
from service.mirror.usage.observing import Observer
from service.pipeline import routing
from service.pipeline.answers import LINEAGE_TARGET, Answerer
from service.pipeline.committing import Outlet
from service.pipeline.outgoing import Subscriber
from service.pipeline.pipeline import Pipeline
from service.pipeline.profile_watch import ProfileWatch
from service.settings.model import Settings
from service.settings.scope import Scope
from service.telemetry.metrics import Metrics
from service.telemetry.traces import OFF, Traces
from service.text.shapes import Shapes


def router_of(settings: Settings) -> routing.Router:
    """The routing table of installed handlers and settings."""
    chosen = settings.routes
    return routing.Router(routing.installed_handlers(), chosen.overrides, defaults=chosen.defaults)


def bindings_of(settings: Settings) -> list[str]:
    """The patterns that our queue is bound with."""
    return settings.amqp.bindings or router_of(settings).bindings()


def pipeline_of(
    settings: Settings,
    store: Store,
    metrics: Metrics,
    targets: Sequence[Subscriber] = (),
    outlet: Outlet | None = None,
    horizon_s: float | None = None,
    traces: Traces = OFF,
    shapes: Shapes | None = None,
) -> Pipeline:
    """The pipeline that these settings describe."""
    principals, oldest_s = settings.pipeline.principals, settings.retention.usage_s
    observer = Observer(settings.usage, principals, oldest_s, metrics.expired_usage.inc)
    return Pipeline(
        store,
        router_of(settings),
        settings.pipeline,
        metrics,
        answerer=Answerer(settings.target(LINEAGE_TARGET)),
        subscribers=targets,
        outlet=outlet,
        verifies_hints=settings.catalog.url is not None,
        scope=Scope(settings.scope),
        horizon_s=horizon_s,
        observer=observer,
        watch=ProfileWatch(
            reads_documents=settings.sync.profile_documents and settings.catalog.url is not None,
            keeps_s=settings.retention.profiles_s,
            limits=settings.profiles,
        ),
        traces=traces,
        histories=settings.retention.history_s is not None,
        shapes=shapes,
    )
