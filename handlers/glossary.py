"""Glossary artifacts: no topic of theirs is documented."""

from __future__ import annotations

from collections.abc import Iterator

from service.changes import Change, RefreshAsked
from service.events.notices import Notice
from service.kinds.glossary import ARTIFACT
from service.pipeline.routing import Evidence, handles


@handles(*ARTIFACT.topics, reads=Notice.read, evidence=Evidence.ASSUMED)
def artifact_changed(notice: Notice) -> Iterator[Change]:
    """The published version is read again; a draft changes nothing there."""
    yield RefreshAsked(ARTIFACT.name, notice.entity_id)
