"""What counts as a use: lineage events of chosen types, and the growth of chosen statistics of the catalog."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import structs

from service.changes import SECOND_US, Change, LineageRecorded, ThingSaved, UsageObserved
from service.kinds.assets import ASSET_STATISTIC
from service.mirror.store import Store
from service.mirror.usage.people import People, people_of
from service.settings.model import UsageSettings
from service.text.documents import canonical, digest_of
from service.text.principals import Principals

STATISTIC = ASSET_STATISTIC.name


class Observer:
    """Makes facts of usage out of changes, as settings say.

    Args:
        horizon_s: seconds after which a use is too old to be kept.
        refuse: is told how many were too old.
    """

    def __init__(
        self, settings: UsageSettings, principals: Principals, horizon_s: float, refuse: Callable[[float], None]
    ) -> None:
        self._settings = settings
        self._principals = principals
        self._event_types = frozenset(settings.lineage_events)
        self._statistics = frozenset(settings.statistics)
        self._horizon_us = round(horizon_s * SECOND_US)
        self._refuse = refuse
        self._people: People | None = None

    def __getstate__(self) -> dict[str, Any]:
        """In another process nobody counts what is too old."""
        return {**vars(self), "_refuse": _for_nobody}

    async def prepare(self, store: Store) -> None:
        """Know how users are hashed, before the first lineage event is looked at; raises `StoreUnavailable`."""
        if self._event_types and self._people is None:
            self._people = await people_of(store, self._settings, self._principals)

    def attached(self, change: Change) -> Change:
        """A lineage event that counts, with the uses that it tells of; what has no time tells of none."""
        if not isinstance(change, LineageRecorded) or change.event_type not in self._event_types:
            return change
        if change.version.at_us is None:
            return change
        return structs.replace(change, usage=tuple(self._of_age(self._uses(change, change.version.at_us))))

    def _uses(self, event: LineageRecorded, at_us: int) -> list[UsageObserved]:
        user = self._people.hash(event.user_id) if self._people else None
        used = sorted({edge.asset_id for edge in event.edges if edge.role == "uses"})
        return [
            UsageObserved(fact_id("lineage", event.event_id, asset), asset, at_us, "lineage", user,
                          event_id=event.event_id)
            for asset in used
        ]  # fmt: skip

    def readings(self, changes: Iterable[Change]) -> list[UsageObserved]:
        """Of statistics that changed, where those that count stand now."""
        told = (change for change in changes if isinstance(change, ThingSaved) and change.kind == STATISTIC)
        return self._of_age([fact for change in told if (fact := self._reading(change))])

    def _reading(self, change: ThingSaved) -> UsageObserved | None:
        asset_id, which, count = change.values.asset_id, change.values.statistic, change.values.count
        at_us = change.version.at_us
        if which not in self._statistics or asset_id is None or count is None or at_us is None:
            return None
        return UsageObserved(
            fact_id("statistic", change.thing_id, at_us), asset_id, at_us, "statistic", None, count, change.thing_id
        )

    def _of_age(self, facts: list[UsageObserved]) -> list[UsageObserved]:
        """Those within the horizon; the others are counted."""
        oldest_us = time.time_ns() // 1000 - self._horizon_us
        young = [fact for fact in facts if fact.at_us >= oldest_us]
        if len(young) < len(facts):
            self._refuse(len(facts) - len(young))
        return young


def _for_nobody(number: float) -> None:
    """Takes a count."""


def fact_id(*told: str | int | None) -> str:
    """The id of a fact: a hash of what makes it one."""
    return digest_of(canonical(list(told))).hex()
