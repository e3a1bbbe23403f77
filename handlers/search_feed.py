"""The feed of the catalog's search index: it says that something changed, not what."""

from __future__ import annotations

from collections.abc import Iterator

from service.changes import AssetDeletionHinted, Change, RefreshAsked
from service.events.search_feed import SearchHint
from service.pipeline.routing import Evidence, handles


@handles("v3.gss.cams.#.action", reads=SearchHint.read, evidence=Evidence.OBSERVED)
def search_index_changed(hint: SearchHint) -> Iterator[Change]:
    """A deletion is a hint, to be verified where a catalog can be asked; anything else asks for a refresh."""
    if not hint.is_asset:
        yield RefreshAsked("artifact", hint.artifact_id, reason="search_feed")
    elif hint.deleted:
        yield AssetDeletionHinted(hint.artifact_id, hint.at_us)
    else:
        yield RefreshAsked("asset", hint.artifact_id, reason="search_feed")
