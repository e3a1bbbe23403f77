"""What an item of a listing means: for each kind the states that it tells.

A search lags behind the catalog, so its items only fill what is unknown; every other listing is the catalog's own word
at the moment of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from service.changes import (
    Change,
    Container,
    ContainerKind,
    ContainerSaved,
    LineageRecorded,
    ProfileSaved,
    Rank,
    ThingSaved,
    Version,
)
from service.errors import DataError
from service.events.cards import Card, profile_change, read_card
from service.events.fields import is_usable_id
from service.events.lineage import answered
from service.events.things import container_change, thing_change, thing_id
from service.kinds import Kind
from service.kinds.assets import ASSET
from service.kinds.glossary import ARTIFACT
from service.kinds.lineage import LINEAGE_EVENT
from service.kinds.profiles import DATA_PROFILE
from service.text import lookup


@dataclass(slots=True)
class Told:
    """What the catalog tells of one thing: how new it is, and on demand the change that says all of it."""

    kind: str
    key: str
    state: Card | ContainerSaved | ProfileSaved | ThingSaved | LineageRecorded
    #: It says which one it is and of which version, not all of it: the rest has to be read by id.
    is_partial: bool = False

    @property
    def whole(self) -> bytes:
        """The digest of all of it; of an incomplete card there is none."""
        return self.state.whole if isinstance(self.state, Card) else self.state.version.whole

    @property
    def version(self) -> Version:
        """How new it is."""
        return self.state.version

    @property
    def text(self) -> str:
        """The item as it would be kept."""
        return self.state.text if isinstance(self.state, Card) else self.state.document.text

    def change(self) -> Change:
        """All of it."""
        return self.state.saved() if isinstance(self.state, Card) else self.state


Means = Callable[[dict[str, Any], Container | None, int | None, str | None], Iterator[Told]]


def told_of(
    kind: Kind, item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None
) -> Iterator[Told]:
    """What an item of a kind tells: of itself first, then of what it carries.

    Args:
        at_us: the moment of the answer on the catalog's clock.
        parent: the id of what it was listed below.

    Raises:
        DataError: it cannot be read.
    """
    yield from _MEANS.get(kind.name, partial(thing_told, kind))(item, where, at_us, parent)


def _asset(item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None) -> Iterator[Told]:
    """An item of the search, of no known moment: the asset, and the profiles that its card carries."""
    yield from card_told(item, where, None, Rank.LISTED)


def card_told(item: dict[str, Any], where: Container | None, at_us: int | None, rank: Rank) -> Iterator[Told]:
    """A card: the asset, and the profiles that it carries."""
    card = read_card(item, where, at_us, rank)
    yield Told("asset", card.asset_id, card)
    for profile in card.profiles:
        yield Told("data_profile", profile.profile_id, profile)


def profile_told(
    item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None
) -> Iterator[Told]:
    """A profile."""
    change = profile_change(item, parent, where, at_us, Rank.READ)
    yield Told("data_profile", change.profile_id, change)


def thing_told(
    kind: Kind, item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None
) -> Iterator[Told]:
    """A thing of one of the kinds."""
    change = thing_change(kind, item, where, at_us, parent)
    yield Told(kind.name, change.thing_id, change)


def _artifact(item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None) -> Iterator[Told]:
    """An artifact: whole, as a reading by id tells it, or flat, as lists of IBM's own client have it."""
    change = thing_change(ARTIFACT, item, where, at_us, parent)
    yield Told("artifact", change.thing_id, change, is_partial=not isinstance(item.get("metadata"), dict))


def container_told(
    kind: ContainerKind, item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None
) -> Iterator[Told]:
    """A container."""
    change = container_change(kind, item, at_us)
    yield Told("container", change.container.id, change)


def _lineage(item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None) -> Iterator[Told]:
    """A lineage event, at one of the assets that it names."""
    change = answered(item)
    yield Told(LINEAGE_EVENT.name, change.event_id, change)


#: Kinds whose items are odd, each in a way of its own.
_MEANS: dict[str, Means] = {
    ASSET.name: _asset, DATA_PROFILE.name: profile_told, ARTIFACT.name: _artifact, LINEAGE_EVENT.name: _lineage,
}  # fmt: skip


def id_of(kind: Kind, item: dict[str, Any], where: Container | None) -> str:
    """The id of an item that cannot be read otherwise; empty where not even that is told."""
    with suppress(DataError):
        if kind.fields:
            return thing_id(kind, item, where)
        found = lookup.text(lookup.first(item, _IDS))
        return found if found and is_usable_id(found) else ""
    return ""


#: Where kinds with changes of their own have their ids.
_IDS = (("metadata", "asset_id"), ("metadata", "guid"), ("metadata", "id"), ("asset_id",), ("id",))
