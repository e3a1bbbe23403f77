"""The pipeline for what people replay: messages of a file, dead letters."""

from __future__ import annotations

from service.changes import Origin
from service.mirror import controls
from service.mirror.store import Store
from service.pipeline.building import pipeline_of
from service.pipeline.pipeline import Pipeline
from service.settings.model import Settings
from service.targets.base import installed_targets
from service.telemetry.metrics import Metrics


async def replaying_pipeline(settings: Settings, store: Store, *, deliver: bool) -> Pipeline:
    """A pipeline for replayed messages; with `deliver`, for the targets too."""
    targets = installed_targets(settings)
    async with store.writing() as connection:
        await controls.ensure_targets(connection, [target.name for target in targets])
    if deliver:  # told of replayed changes, too
        for target in targets:
            target.origins = frozenset(Origin)
    return pipeline_of(settings, store, Metrics(), targets)
