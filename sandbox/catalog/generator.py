"""Cards made on demand: the same seed and number always give the same card, and none is kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.catalog import cards
from sandbox.catalog.cards import Card
from sandbox.catalog.containers import GENERATED_SINCE_S, Container
from sandbox.catalog.ids import Ids, Kind, mix
from sandbox.catalog.shapes import CONNECTION_OFFSET, CYCLE_LENGTH, Seedling, Shape, collaborator_forms, make_cycle
from sandbox.catalog.tables import make_tables

#: Milliseconds in which the generated assets were last changed, spread evenly.
_SPAN_MS = 4 * 365 * 86_400_000
_SINCE_MS = int(GENERATED_SINCE_S * 1000) + 60 * 86_400_000
_MONTH_MS = 30 * 86_400_000
_OWNERS = ("IBMid-270000ANNA", "IBMid-270000DANA", "iam-ServiceId-0000-import", "IBMid-270000OTTO")
#: Glossary terms that generated cards may refer to.
TERM_COUNT = 40


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cards are looked for: those that carry an attribute, and those of a type."""

    attribute: str | None = None
    asset_type: str | None = None

    def fits(self, asset_type: str, attributes: Collection[str]) -> bool:
        """Whether a card of this type with these attributes is meant."""
        return self.asset_type in (None, asset_type) and (self.attribute is None or self.attribute in attributes)


ANY = Wanted()


@dataclass(slots=True)
class Plot:
    """The numbers that a container's generated assets have: one range, in the order of their last change."""

    container: Container
    start: int
    end: int
    #: What every card in it says about its container.
    fields: dict[str, Any] = field(default_factory=dict)


class Generator:
    """The catalog before anybody touched it."""

    def __init__(self, seed: int, count: int, ids: Ids, shares: list[tuple[Container, float]], *, odd: bool) -> None:
        self._seed, self.count, self._ids = seed, count, ids
        self.cycle: list[Shape] = make_cycle(odd)
        self._tables = make_tables(seed, ids, TERM_COUNT)
        self.plots = _lay_out(count, shares)
        self._starts = [plot.start for plot in self.plots]
        self._step_ms = _SPAN_MS // max(count, 1)
        # What a shape's attributes are does not depend on the number, so one look at each is enough.
        self._attributes = {shape.name: self._attributes_of(shape) for shape in self.cycle}
        self._offsets: dict[Wanted, list[int]] = {}

    def index_of(self, asset_id: str) -> int | None:
        """The number of a generated asset, None for any other id."""
        index = self._ids.index_of(Kind.ASSET, asset_id)
        return index if index is not None and index < self.count else None

    def asset_id(self, index: int) -> str:
        """The id of a generated asset."""
        return self._ids.of(Kind.ASSET, index)

    def plot_of(self, index: int) -> Plot:
        """Where a generated asset lies."""
        return self.plots[bisect_right(self._starts, index) - 1]

    def plot_in(self, container_id: str) -> Plot | None:
        """The generated assets of a container, None where there are none."""
        return next((plot for plot in self.plots if plot.container.id == container_id), None)

    def shape(self, index: int) -> Shape:
        """What a generated asset looks like."""
        return self.cycle[(index - self.plot_of(index).start) % CYCLE_LENGTH]

    def modified_ms(self, index: int) -> int:
        """When a generated asset was last changed; rises with the number."""
        return _SINCE_MS + index * self._step_ms

    def first_modified_since(self, at_ms: float) -> int:
        """The lowest number that was changed at this time or later."""
        return min(max(0, -int((_SINCE_MS - at_ms) // self._step_ms)), self.count)

    def card(self, index: int) -> Card:
        """The card of a generated asset."""
        plot = self.plot_of(index)
        container, ids = plot.container, self._ids
        bits = mix(self._seed, index)
        shape = self.cycle[(index - plot.start) % CYCLE_LENGTH]
        table = self._tables[bits % len(self._tables)]
        by = _OWNERS[bits >> 8 & 3]
        modified_ms = _SINCE_MS + index * self._step_ms
        created_ms = modified_ms - bits % _MONTH_MS
        asset_id = ids.of(Kind.ASSET, index)
        name = f"{table.name}_{index}" if shape.asset_type == "data_asset" else f"{shape.asset_type} {index}"
        metadata = cards.metadata(
            asset_id, shape.asset_type, name, plot.fields, created_ms=created_ms, modified_ms=modified_ms, by=by
        )
        metadata["rov"]["collaborator_ids"] = collaborator_forms(by, bits >> 10)
        if bits >> 12 & 3:
            metadata["description"] = (
                f"What the shop knows about {table.name.lower().replace('_', ' ')} number {index}."
            )
            metadata["tags"] = ["retail", table.schema] if bits >> 14 & 1 else []
        card: Card = {"metadata": metadata, "entity": {}}
        position = index - plot.start
        connection_id = ids.of(Kind.ASSET, index - position % CYCLE_LENGTH + CONNECTION_OFFSET)
        seedling = Seedling(
            asset_id,
            bits,
            container.kind,
            container.id,
            created_ms,
            by,
            table,
            index,
            connection_id,
            ids,
            TERM_COUNT,
        )
        shape.furnish(card, seedling)
        metadata["asset_attributes"] = list(card["entity"])
        return card

    def numbers(self, plot: Plot, wanted: Wanted, low: int, high: int, *, backward: bool = False) -> Iterator[int]:
        """Numbers of a plot in [low, high) whose cards are wanted, rising or falling."""
        low, high = max(low, plot.start), min(high, plot.end)
        if wanted == ANY:
            yield from range(high - 1, low - 1, -1) if backward else range(low, high)
            return
        offsets = self.offsets(wanted)
        if high <= low or not offsets:
            return
        first, last = ((number - plot.start) // CYCLE_LENGTH for number in (low, high - 1))
        for cycle in range(last, first - 1, -1) if backward else range(first, last + 1):
            base = plot.start + cycle * CYCLE_LENGTH
            for offset in reversed(offsets) if backward else offsets:
                if low <= base + offset < high:
                    yield base + offset

    def amount(self, plot: Plot, wanted: Wanted, low: int, high: int) -> int:
        """How many numbers of a plot in [low, high) have a card that is wanted."""
        low, high = max(low, plot.start), min(high, plot.end)
        if high <= low:
            return 0
        if wanted == ANY:
            return high - low
        offsets = self.offsets(wanted)
        return _below(offsets, high - plot.start) - _below(offsets, low - plot.start)

    def offsets(self, wanted: Wanted) -> list[int]:
        """Places in the cycle whose cards are wanted."""
        if wanted not in self._offsets:
            self._offsets[wanted] = [
                offset
                for offset, shape in enumerate(self.cycle)
                if wanted.fits(shape.asset_type, self._attributes[shape.name])
            ]
        return self._offsets[wanted]

    def _attributes_of(self, shape: Shape) -> list[str]:
        card: Card = {"metadata": {}, "entity": {}}
        shape.furnish(card, Seedling("", 0, "catalog", "", 0, "", self._tables[0], 0, "", self._ids, TERM_COUNT))
        return list(card["entity"])


def _lay_out(count: int, shares: list[tuple[Container, float]]) -> list[Plot]:
    plots, start, whole = [], 0, sum(share for _, share in shares)
    for position, (container, share) in enumerate(shares):
        end = count if position == len(shares) - 1 else min(count, start + round(count * share / whole))
        plots.append(Plot(container, start, end, cards.container_fields(container)))
        start = end
    return plots


def _below(offsets: list[int], position: int) -> int:
    cycles, rest = divmod(position, CYCLE_LENGTH)
    return cycles * len(offsets) + bisect_right(offsets, rest - 1)
