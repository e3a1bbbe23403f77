"""Glossary artifacts: no topic of theirs is documented."""

from __future__ import annotations

from collections.abc import Iterator

from service.changes import Change, RefreshAsked
from service.events.notices import Notice
from service.pipeline.routing import Evidence, handles


@handles(
    "v3.glossary_terms.*.#", "v3.classifications.*.#", "v3.data_classes.*.#", "v3.policies.*.#", "v3.rules.*.#",
    reads=Notice.read, evidence=Evidence.ASSUMED,
)  # fmt: skip
def artifact_changed(notice: Notice) -> Iterator[Change]:
    """The published version is read again; a draft changes nothing there."""
    yield RefreshAsked("artifact", notice.entity_id)
