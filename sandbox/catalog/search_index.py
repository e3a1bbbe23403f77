"""The index behind asset search and global search: a copy that lags behind the truth."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Iterator

from sandbox.catalog.assets import Life, Record
from sandbox.catalog.cards import Card, may_find
from sandbox.catalog.clock import Clock
from sandbox.catalog.generator import Generator, Plot, Wanted
from sandbox.catalog.knobs import Knobs


class SearchIndex:
    """What searching sees. A card's place never changes: generated ones first, then in the order they were added."""

    def __init__(self, generator: Generator, clock: Clock, knobs: Knobs) -> None:
        self.generator, self._clock, self._knobs = generator, clock, knobs
        self._waiting: deque[tuple[float, Record]] = deque()
        #: Cards as indexed; None is one that cannot be found any more.
        self._changed: dict[str, Card | None] = {}
        self._changed_numbers: dict[str, list[int]] = {}
        self._changed_set: set[int] = set()
        self._added: dict[str, dict[str, None]] = {}
        #: Indexed cards of a container that are not as generated, by what could be looked for.
        self._counts: dict[str, Counter[Wanted]] = {}
        #: Changed cards with their container by the time of the last change.
        self._by_time: list[tuple[int, str, str]] = []

    def note(self, _before: Record | None, after: Record) -> None:
        """A watcher of the truth: the change is seen here when its time has come."""
        self._waiting.append((self._clock.now(), after))

    def catch_up(self) -> None:
        """Take in what is old enough."""
        seen_until = self._clock.now() - self._knobs.index_lag_s
        while self._waiting and self._waiting[0][0] <= seen_until:
            self._take_in(self._waiting.popleft()[1])

    def page(self, container_id: str, wanted: Wanted, start: int, limit: int) -> tuple[list[Card], int]:
        """Up to `limit` cards from a place on, and the place after the last of them."""
        self.catch_up()
        cards: list[Card] = []
        place = start
        for place, card in self._walk(container_id, wanted, start):
            cards.append(card)
            if len(cards) == limit:
                return cards, place + 1
        return cards, place + 1

    def total(self, container_id: str, wanted: Wanted) -> int:
        """How many cards there are."""
        self.catch_up()
        total = self._counts.get(container_id, Counter())[wanted]
        plot = self.generator.plot_in(container_id)
        return total + (self.fresh_total(plot, wanted, plot.start, plot.end) if plot else 0)

    def fresh_total(self, plot: Plot, wanted: Wanted, low: int, high: int) -> int:
        """How many numbers of a plot in [low, high) are wanted and still as they were generated."""
        changed = self.changed_numbers(plot.container.id, low, high)
        amount = self.generator.amount
        return amount(plot, wanted, low, high) - sum(amount(plot, wanted, number, number + 1) for number in changed)

    def look_up(self, container_id: str, asset_id: str) -> Card | None:
        """The one card with this id, as indexed."""
        self.catch_up()
        if asset_id in self._changed:
            lies_here = asset_id in self._added.get(container_id, ()) or self._lies_in(container_id, asset_id)
            return self._changed[asset_id] if lies_here else None
        number = self.generator.index_of(asset_id)
        return self.generator.card(number) if number is not None and self._lies_in(container_id, asset_id) else None

    def changed_numbers(self, container_id: str, low: int, high: int) -> list[int]:
        """Generated assets of a container that are not as generated any more, by number."""
        numbers = self._changed_numbers.get(container_id, [])
        return numbers[bisect_left(numbers, low) : bisect_left(numbers, high)]

    def is_changed(self, number: int) -> bool:
        """Whether a generated asset is not as generated any more."""
        return number in self._changed_set

    def changed_by_time(self) -> Iterator[tuple[int, Card, str]]:
        """Changed and added cards with their containers, longest unchanged first."""
        for at_ms, asset_id, container_id in self._by_time:
            card = self._changed[asset_id]
            if card is not None:
                yield at_ms, card, container_id

    def _lies_in(self, container_id: str, asset_id: str) -> bool:
        number = self.generator.index_of(asset_id)
        return number is not None and self.generator.plot_of(number).container.id == container_id

    def _walk(self, container_id: str, wanted: Wanted, start: int) -> Iterator[tuple[int, Card]]:
        yield from self._walk_generated(container_id, wanted, start)
        first = self.generator.count
        added = list(self._added.get(container_id, ()))
        for place in range(max(start - first, 0), len(added)):
            card = self._changed[added[place]]
            if card is not None and _fits(wanted, card):
                yield first + place, card

    def _walk_generated(self, container_id: str, wanted: Wanted, start: int) -> Iterator[tuple[int, Card]]:
        plot = self.generator.plot_in(container_id)
        if plot is None or start >= plot.end:
            return
        changed = self.changed_numbers(container_id, start, plot.end)
        fresh = self.generator.numbers(plot, wanted, start, plot.end)
        last = -1
        for number in heapq.merge(fresh, changed) if changed else fresh:
            if number == last:
                continue
            last = number
            card = self._card_at(number)
            if card is not None and _fits(wanted, card):
                yield number, card

    def _card_at(self, number: int) -> Card | None:
        if number in self._changed_set:
            return self._changed[self.generator.asset_id(number)]
        return self.generator.card(number)

    def _take_in(self, record: Record) -> None:
        asset_id, container_id = record.asset_id, record.container_id
        findable = record.life is Life.LIVE and may_find(record.card)
        card = record.card if findable else None
        number = self.generator.index_of(asset_id)
        if number is None:
            self._added.setdefault(container_id, {})[asset_id] = None
        elif number not in self._changed_set:
            self._changed_set.add(number)
            insort(self._changed_numbers.setdefault(container_id, []), number)
        before = self._changed.get(asset_id)
        if before is not None:
            self._count(container_id, before, -1)
            del self._by_time[bisect_left(self._by_time, (modified_ms(before), asset_id, container_id))]
        if card is not None:
            self._count(container_id, card, 1)
            insort(self._by_time, (modified_ms(card), asset_id, container_id))
        self._changed[asset_id] = card

    def _count(self, container_id: str, card: Card, by: int) -> None:
        counts, asset_type = self._counts.setdefault(container_id, Counter()), card["metadata"]["asset_type"]
        for attribute in (None, *card["entity"]):
            counts[Wanted(attribute)] += by
            counts[Wanted(attribute, asset_type)] += by


def _fits(wanted: Wanted, card: Card) -> bool:
    return wanted.fits(card["metadata"]["asset_type"], card["entity"])


def modified_ms(card: Card) -> int:
    """When the card was last changed, in epoch milliseconds."""
    at_ms: int = card["metadata"]["usage"]["last_update_time"]
    return at_ms
