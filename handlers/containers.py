"""Catalogs, projects, spaces and their members: no topic of theirs is documented."""

from __future__ import annotations

from collections.abc import Iterator

from service.changes import Change, Container, RefreshAsked
from service.events.message import Event
from service.events.notices import container_named
from service.pipeline.routing import Evidence, handles


def _named(event: Event) -> Container | None:
    return container_named(event.words)


@handles(
    "v2.catalogs.*.*", "v2.projects.*.*", "v2.spaces.*.*", reads=_named, evidence=Evidence.ASSUMED
)  # fmt: skip
def container_changed(where: Container | None) -> Iterator[Change]:
    """It is read again."""
    if where is not None:
        yield RefreshAsked("container", where.id, where)


@handles(
    "v2.catalogs.*.members.#", "v2.projects.*.members.#", "v2.spaces.*.members.#",
    reads=_named, evidence=Evidence.ASSUMED,
)  # fmt: skip
def members_changed(where: Container | None) -> Iterator[Change]:
    """All its members are read again: one cannot be read alone."""
    if where is not None:
        yield RefreshAsked("member", where.id, where)
