"""What the targets that tell changes share: which changes they tell, and what is ready to go out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from service.changes import Change, DriftFound, Origin, entity_of
from service.errors import MirrorError, SettingInvalid
from service.mirror.deliveries import Delivery
from service.mirror.effects import Effect, Watched
from service.mirror.store import Store
from service.mirror.writer import INSERTS
from service.targets.base import Sending, Target
from service.targets.changes import notices, states
from service.targets.changes.event import change_event, merged, traced
from service.targets.changes.filters import Filter
from service.targets.changes.options import ChangeOptions
from service.targets.options import setting_of

#: Seconds between two looks for notices.
NOTICES_EVERY_S = 5.0


class Parcel(NamedTuple):
    """One event, ready to be sent, and the delivery that it settles."""

    delivery: Delivery
    #: The event in CloudEvents' JSON format.
    text: str


class ChangeTarget(Target):
    """A target that tells changes as CloudEvents.

    Raises:
        SettingInvalid: the expression among the options does not compile.
    """

    side_by_side = True

    def __init__(self, name: str, origins: Sequence[Origin], options: ChangeOptions) -> None:
        super().__init__(name, origins)
        self.options = options
        self._kinds = frozenset(options.kinds or INSERTS)
        self.watched = Watched(self._kinds, options.parts)
        try:
            self._filter = Filter(name, options)
        except ValueError as error:
            raise SettingInvalid(setting=setting_of(name, "OPTIONS"), problem=f"where: {error}") from None
        self.merge = merged if options.collapse else None
        self._tells_drift = "drift" in options.notices
        self.tends_every_s = NOTICES_EVERY_S if set(options.notices) - {"drift"} else None
        self._store: Store | None = None

    def attach(self, store: Store) -> None:
        """States that somebody asked for are read there."""
        self._store = store

    @property
    def store(self) -> Store:
        """The mirror."""
        if self._store is None:
            raise RuntimeError("the target has no store yet")
        return self._store

    def wants(self, change: Change) -> bool:
        """Changes of the kinds that were chosen; what else is asked of them takes more to know."""
        if isinstance(change, DriftFound):
            return self._tells_drift
        return entity_of(change)[0] in self._kinds

    def tells(self, change: Change, effect: Effect | None, origin: Origin) -> str | None:
        """The event, where the change can be seen and the filters let it through."""
        if isinstance(change, DriftFound):
            return notices.of_drift(change, self.options.source).text() if self._tells_drift else None
        kind, thing_id = entity_of(change)
        if effect is None or kind not in self._kinds:
            return None
        event = change_event(kind, thing_id, effect, origin, self.options.source)
        return event.text() if event is not None and self._filter.admits(event) else None

    async def deliver(self, batch: Sequence[Delivery]) -> list[MirrorError | None]:
        """Send what there is to tell; what is no longer to be seen has arrived, as it were."""
        parcels = await self._parcels(batch)
        fates = dict(zip((one.delivery.delivery_id for one in parcels), await self.send(parcels), strict=True))
        return [fates.get(delivery.delivery_id) for delivery in batch]

    async def tend(self) -> bool | None:
        """Look for what else is to be told; that nothing came up says nothing of the receiver."""
        return bool(await notices.look(self.store, self.name, self.options.notices, self.options.source)) or None

    async def plan(self, batch: Sequence[Delivery]) -> list[Sending]:
        """What `deliver` would send."""
        return self.shown(await self._parcels(batch))

    @abstractmethod
    async def send(self, parcels: Sequence[Parcel]) -> list[MirrorError | None]:
        """Pass events on, of which no two are of one thing; answers and raises as `deliver`."""

    @abstractmethod
    def shown(self, parcels: Sequence[Parcel]) -> list[Sending]:
        """The same for people, without sending anything."""

    async def _parcels(self, batch: Sequence[Delivery]) -> list[Parcel]:
        """What is ready to be sent: changes as they were told, and states as they are now."""
        asked = [delivery for delivery in batch if delivery.document is None]
        found = await self._states(asked) if asked else {}
        texts = ((one, found.get(one.delivery_id) if one.document is None else one.document) for one in batch)
        return [Parcel(one, traced(text, one.trace)) for one, text in texts if text is not None]

    async def _states(self, asked: Sequence[Delivery]) -> dict[str, str]:
        async with self.store.reading() as connection:
            events = await states.events_of(connection, asked, self.options.source)
        return {delivery_id: event.text() for delivery_id, event in events.items() if self._filter.admits(event)}
