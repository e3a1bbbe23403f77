"""Hints at kinds that are not read by id: no topic of theirs is documented.

So their listing is read again, once for however many hints: that of the container, or the only one there is; and then
what is listed below.
"""

from __future__ import annotations

from collections.abc import Iterator

from service.changes import Change, RefreshAsked
from service.events.notices import Notice
from service.kinds import KINDS, Kind
from service.pipeline.routing import Evidence, Handler, handles


def _handler(kind: Kind) -> Handler:
    told = [kind, *(other for other in KINDS.values() if other.parent == kind.name)]

    def changed(notice: Notice) -> Iterator[Change]:
        """Without a container there is nothing to list; the next reconcile comes to it."""
        for one in told:
            if not one.within:
                yield RefreshAsked(one.name, "all")
            elif notice.container is not None:
                yield RefreshAsked(one.name, notice.container.id, notice.container)

    changed.__name__ = f"{kind.table}_changed"
    changed.__doc__ = f"The listing is read again: {', '.join(one.table for one in told)}."
    return handles(*kind.topics, reads=Notice.read, evidence=Evidence.ASSUMED)(changed)


HANDLERS = tuple(_handler(kind) for kind in KINDS.values() if kind.topics and not kind.is_read_alone)
