"""How often something was done with an asset: the catalog's only usage counter."""

from __future__ import annotations

from collections import Counter

REQUEST_TYPES = ("EDITS", "DOWNLOADS", "PUBLISH_TO_CATALOG", "CLONE_TO_PROJECT", "PROMOTE_TO_SPACE")


class Statistics:
    """Counts per asset and kind of use."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, asset_id: str, request_type: str) -> None:
        """It happened once more."""
        self._counts[asset_id, request_type] += 1

    def of(self, asset_id: str, request_type: str) -> int:
        """How often it happened."""
        return self._counts[asset_id, request_type]
