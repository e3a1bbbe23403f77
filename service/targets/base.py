"""What a target is: a system that changes are passed on to.

A target is found through the entry point group `catalog_mirror.targets`, so anyone may add one from a package of their
own: a class with `create`, named by its entry point, with settings of its own in `TARGETS__<NAME>__OPTIONS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Change, Origin
from service.errors import MirrorError, SettingInvalid
from service.mirror.deliveries import Delivery, Merge
from service.mirror.effects import Effect, Watched
from service.mirror.store import Store
from service.pipeline.installed import entries, loaded
from service.settings.model import Settings
from service.targets.options import setting_of
from service.telemetry.metrics import Metrics

GROUP = "catalog_mirror.targets"


@dataclass(frozen=True, slots=True)
class Sending:
    """One call or message, as `targets plan` shows it: where it goes, what it carries, which deliveries it settles."""

    to: str
    body: str
    deliveries: tuple[str, ...]
    #: What it changes there, a line each, where that is known.
    changes: tuple[str, ...] = ()


class Target(ABC):
    """One destination."""

    #: Takes lineage (our answers, and what others told) instead of states.
    lineage: bool = False
    #: Is also told the lineage events that came from elsewhere.
    forwards: bool = False
    #: Systems that it is (`catalog`, or names of tokens of our API): what came from one of them is not told to it.
    sources: frozenset[str] = frozenset()
    #: Takes OpenLineage events as they were sent, instead of the lineage event that they are part of.
    takes_originals: bool = False
    #: Deliveries that it takes at once, where that is not what the relay would give: a batch must not outlast its
    #: lease, or makes fewer calls the larger it is.
    at_once: int | None = None
    #: Takes what is new beside what waited, in two calls at once that never have a thing in common: a delivery tells
    #: what it tells, whatever goes before or after it. Else one call ends before the next begins.
    side_by_side: bool = False
    #: Seconds between two turns of `tend`; None: it has no work of its own.
    tends_every_s: float | None = None
    #: Seconds that deliveries wait in the store, so that a storm of changes goes out as one; then all that wait go.
    settles_s: float = 0.0
    #: Whose effects it tells, as they happened: what was before and what is after; None: it tells states as they are.
    watched: Watched | None = None
    #: Makes one of two changes of a thing that wait, where it does not want each.
    merge: Merge | None = None
    #: Names of the targets that take lineage, where a finished job may be announced; the relay tells.
    announces_to: tuple[str, ...] = ()
    #: Where to count; the relay tells.
    metrics: Metrics | None = None

    def __init__(self, name: str, origins: Sequence[Origin]) -> None:
        self.name = name
        self.origins = frozenset(origins)

    @classmethod
    @abstractmethod
    def create(cls, name: str, settings: Settings) -> Target | None:
        """The target as settings describe it; None where they turn it off.

        Raises:
            SettingInvalid: they ask for something that it cannot do.
        """

    @property
    def leads_nowhere(self) -> bool:
        """Nothing is set by which it could be reached: a service leaves it out, so that nothing waits for it."""
        return False

    def attach(self, store: Store) -> None:
        """Given the mirror before the first delivery, for targets that look things up in it."""
        return

    async def prepare(self, connection: AsyncConnection) -> None:
        """Given a transaction before `wants` is asked about a batch, for targets whose wishes stand in the store."""
        return

    def wants(self, change: Change) -> bool:
        """Whether a change that took effect is delivered here."""
        return False

    def tells(self, change: Change, effect: Effect | None, origin: Origin) -> str | None:
        """What one that watches tells of a change that took effect, kept with the delivery; None: nothing."""
        return None

    @abstractmethod
    async def deliver(self, batch: Sequence[Delivery]) -> list[MirrorError | None]:
        """Pass a batch on.

        Returns:
            Per delivery None where it arrived, a `DataError` where it never will, else a `TransientError`.

        Raises:
            TransientError: the target cannot be reached; what of the batch arrived is unknown.
        """

    async def tend(self) -> bool | None:
        """A turn of the work that time asks for, not a change: figures of a window, jobs to follow.

        Turns come while the target is neither paused nor its circuit open, and one probes the circuit. Each replica
        has its own, so what must not be done twice is claimed in the store. A turn is short: what is left waits for
        the next.

        Returns:
            Whether there is more to do at once; None where there was nothing to do, so that nothing is known of it.

        Raises:
            TransientError: the target cannot be reached.
        """
        return None

    async def measure(self, connection: AsyncConnection) -> None:
        """Given a transaction from time to time, for targets with figures of their own to show in `metrics`."""
        return

    async def plan(self, batch: Sequence[Delivery]) -> list[Sending]:
        """Exactly what `deliver` would send for this batch, and `tend` now; sends nothing."""
        ready = [delivery for delivery in batch if delivery.document is not None]
        return [Sending(self.name, delivery.document or "", (delivery.delivery_id,)) for delivery in ready]

    async def remarks(self) -> list[str]:
        """What a person should know beside the plan, such as what is missing for more to be sent; a sentence each."""
        return []

    async def check(self) -> list[str] | None:
        """What is wrong with settings that only the other system can tell, a sentence each, for `doctor`.

        None where there is nothing to ask it.

        Raises:
            TransientError: it cannot be asked now.
        """
        return None

    async def close(self) -> None:
        """Let go of connections."""
        return


def announced_to(targets: Sequence[Target]) -> tuple[str, ...]:
    """Names of the targets that are told of what other targets did: those of live lineage."""
    return tuple(target.name for target in targets if target.lineage and Origin.LIVE in target.origins)


def installed_targets(settings: Settings) -> list[Target]:
    """Every installed target that settings do not turn off, and those that settings add by their `kind`.

    Raises:
        SettingInvalid: there is no target of this kind.
        PackageUnusable: one of them cannot be imported.
    """
    kinds = {entry.name: entry for entry in entries(GROUP)}
    added = {name: chosen.kind for name, chosen in settings.targets.items() if chosen.kind and name not in kinds}
    for name, kind in added.items():
        if kind not in kinds:
            setting = setting_of(name, "KIND")
            raise SettingInvalid(setting=setting, problem=f"there is no {kind!r}; there are {', '.join(sorted(kinds))}")
    chosen_kinds = {name: name for name in kinds} | added
    made = (loaded(kinds[kind]).create(name, settings) for name, kind in chosen_kinds.items())
    return [target for target in made if target is not None]
