"""The truth about assets: generated cards, what was changed since, what was added, and the trash."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from sandbox.catalog.cards import Card
from sandbox.catalog.clock import Clock
from sandbox.catalog.containers import Container, Containers
from sandbox.catalog.generator import Generator, Wanted
from sandbox.catalog.problems import not_found

#: How often a random asset is drawn before it is said that there is none left.
_DRAWS = 60


class Life(Enum):
    """Where an asset is."""

    LIVE = "available"
    TRASHED = "deleted"
    PURGED = "purged"


@dataclass(frozen=True, slots=True)
class Record:
    """One state of one asset; changed by replacing it."""

    asset_id: str
    container_id: str
    card: Card
    life: Life = Life.LIVE
    trashed_s: float | None = None


#: Is told of every new state: the record before (None for a new asset), the record after.
Watcher = Callable[[Record | None, Record], None]


class Assets:
    """All assets of all containers; only what was changed is in memory."""

    def __init__(self, generator: Generator, containers: Containers, clock: Clock) -> None:
        self.generator, self.containers, self.clock = generator, containers, clock
        self._changed: dict[str, Record] = {}
        self._added: list[str] = []
        self._trash: dict[str, None] = {}
        self.watchers: list[Watcher] = []

    @property
    def kept(self) -> int:
        """How many assets are in memory."""
        return len(self._changed)

    def find(self, asset_id: str) -> Record | None:
        """The asset in whatever state, also a purged one."""
        record = self._changed.get(asset_id)
        if record is None and (index := self.generator.index_of(asset_id)) is not None:
            plot = self.generator.plot_of(index)
            record = Record(asset_id, plot.container.id, self.generator.card(index))
        return record

    def place(self, asset_id: str) -> tuple[str, Life] | None:
        """The container and the state of an asset, without making its card."""
        record = self._changed.get(asset_id)
        if record is not None:
            return record.container_id, record.life
        index = self.generator.index_of(asset_id)
        return None if index is None else (self.generator.plot_of(index).container.id, Life.LIVE)

    def live(self, asset_id: str) -> Record:
        """An asset that can be read by its id; raises Problem 404, also for one in the trash."""
        record = self.find(asset_id)
        if record is None or record.life is not Life.LIVE:
            raise not_found("asset", asset_id)
        return record

    def trashed(self, asset_id: str) -> Record:
        """An asset in the trash; raises Problem 404."""
        record = self._changed.get(asset_id)
        if record is None or record.life is not Life.TRASHED:
            raise not_found("trashed asset", asset_id)
        return record

    def container_of(self, record: Record) -> Container:
        """Where the asset lies."""
        return self.containers.get(record.container_id)

    def put(self, record: Record) -> None:
        """Make this the asset's state, and tell the watchers."""
        before = self.find(record.asset_id)
        self._changed[record.asset_id] = record
        if before is None:
            self._added.append(record.asset_id)
        self._trash.pop(record.asset_id, None)
        if record.life is Life.TRASHED:
            self._trash[record.asset_id] = None
        for watcher in self.watchers:
            watcher(before, record)

    def move(self, record: Record, life: Life) -> None:
        """Take the asset to another place: trash, out of it, or away for ever."""
        trashed_s = self.clock.now() if life is Life.TRASHED else None
        self.put(replace(record, life=life, trashed_s=trashed_s, card={} if life is Life.PURGED else record.card))

    def trash_of(self, container_id: str) -> list[Record]:
        """What lies in a container's trash, longest there first."""
        records = (self._changed[asset_id] for asset_id in self._trash)
        return [record for record in records if record.container_id == container_id]

    def all(self) -> Iterator[Record]:
        """Every live asset of every container that exists; made on the way, so that a million can be walked."""
        for plot in self.generator.plots:
            if not plot.container.deleted:
                yield from self._generated(plot.container.id, plot.start, plot.end)
        for asset_id in list(self._added):
            record = self._changed[asset_id]
            if record.life is Life.LIVE and not self.container_of(record).deleted:
                yield record

    def carrying(self, attribute: str) -> Iterator[Record]:
        """Live assets with an attribute; quick where few have it."""
        for plot in (plot for plot in self.generator.plots if not plot.container.deleted):
            for index in self.generator.numbers(plot, Wanted(attribute), plot.start, plot.end):
                if self.generator.asset_id(index) not in self._changed:
                    yield Record(self.generator.asset_id(index), plot.container.id, self.generator.card(index))
        for record in list(self._changed.values()):
            if record.life is Life.LIVE and attribute in record.card["entity"]:
                yield record

    def _generated(self, container_id: str, start: int, end: int) -> Iterator[Record]:
        for index in range(start, end):
            asset_id = self.generator.asset_id(index)
            record = self._changed.get(asset_id)
            if record is None:
                yield Record(asset_id, container_id, self.generator.card(index))
            elif record.life is Life.LIVE:
                yield record

    def draw(self, rng: random.Random, wanted: Callable[[Record], bool] = lambda _: True) -> Record | None:
        """A random live asset that is wanted; None when chance finds none."""
        added = self._added
        for _ in range(_DRAWS):
            number = rng.randrange(max(1, self.generator.count + len(added)))
            if number >= self.generator.count and not added:
                return None
            at = number - self.generator.count
            asset_id = self.generator.asset_id(number) if at < 0 else added[at]
            record = self.find(asset_id)
            if record and record.life is Life.LIVE and not self.container_of(record).deleted and wanted(record):
                return record
        return None
