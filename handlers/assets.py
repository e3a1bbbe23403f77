"""Assets, connections and folders: no topic of theirs is documented. A card that an event carries is used."""

from __future__ import annotations

from collections.abc import Iterator

from service.changes import AssetDeletionHinted, Change, Rank, RefreshAsked
from service.events.cards import card_changes, is_whole
from service.events.notices import Notice
from service.pipeline.routing import Evidence, handles


@handles(
    "v2.assets.*.*", "v2.data_assets.*.*", "v2.connections.*.*", "v2.folder_assets.*.*",
    reads=Notice.read, evidence=Evidence.ASSUMED,
)  # fmt: skip
def asset_changed(notice: Notice) -> Iterator[Change]:
    """A deletion is a hint, a card is used; anything else asks for one reading, however many come.

    A connection is told in another form, too, which names its secrets as it likes: only a card is used.
    """
    if notice.is_deletion:
        yield AssetDeletionHinted(notice.entity_id, notice.at_us)
    elif notice.state is not None and is_whole(notice.state) and notice.at_us is not None:
        yield from card_changes(notice.state, notice.container, notice.at_us, Rank.EVENT)
    else:
        yield RefreshAsked("asset", notice.entity_id, notice.container)
