"""Relationships, data quality, jobs, lists, types: no topic of theirs is documented, and none is read by id.

So their listing in the container is read again, once for however many events.
"""

from __future__ import annotations

from collections.abc import Iterator

from service.changes import Change, RefreshAsked
from service.events.notices import Notice
from service.pipeline.routing import Evidence, handles


def _listing(kind: str, notice: Notice) -> Iterator[Change]:
    """Without a container there is nothing to list; the next reconcile comes to it."""
    if notice.container is not None:
        yield RefreshAsked(kind, notice.container.id, notice.container)


@handles("v2.asset_relationships.*.#", reads=Notice.read, evidence=Evidence.ASSUMED)
def relationships_changed(notice: Notice) -> Iterator[Change]:
    """The relationships of the container are read again."""
    yield from _listing("relationship", notice)


@handles("v4.data_quality_issues.*.#", reads=Notice.read, evidence=Evidence.ASSUMED)
def quality_issues_changed(notice: Notice) -> Iterator[Change]:
    """The issues of the container are read again."""
    yield from _listing("quality_issue", notice)


@handles("v2.jobs.*.#", reads=Notice.read, evidence=Evidence.ASSUMED)
def jobs_changed(notice: Notice) -> Iterator[Change]:
    """The jobs of the container are read again, then their runs."""
    yield from _listing("job", notice)
    yield from _listing("job_run", notice)


@handles("v2.asset_types.*.#", reads=Notice.read, evidence=Evidence.ASSUMED)
def asset_types_changed(notice: Notice) -> Iterator[Change]:
    """The types of the container are read again."""
    yield from _listing("asset_type", notice)


@handles("v2.asset_lists.*.#", reads=Notice.read, evidence=Evidence.ASSUMED)
def asset_lists_changed(notice: Notice) -> Iterator[Change]:
    """All lists are read again, then their items, once for however many events; they live in no container."""
    yield RefreshAsked("asset_list", "all")
    yield RefreshAsked("asset_list_item", "all")
