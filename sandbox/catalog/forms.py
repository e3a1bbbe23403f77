"""Forms of answers that the documents leave open (docs/contract.md, "Open forms"): each can be switched, also together.

The other forms are those of a reading of the documents; these are what they may be as well.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

#: What lists are called, and what totals are.
_LISTS = (
    "resources", "catalogs", "results", "members", "rows", "assets", "checks", "issues", "relationships", "asset_lists",
    "items", "collaborators", "data_contracts", "test_results",
)  # fmt: skip
_TOTALS = ("total_rows", "total_results", "total_count", "count")
#: Listings that lead to nothing else, so that another name of their list does not end everything.
_BEYOND = 3


@dataclass(slots=True)
class Forms:
    """Which of the open forms the catalog answers in."""

    #: Lists stand under another key than the samples of other listings show.
    other_keys: bool = False
    #: There are items that are null, or a text.
    odd_items: bool = False
    #: The total that is told is more than what is listed.
    larger_totals: bool = False
    #: The total that is told is less than what is listed.
    smaller_totals: bool = False
    #: No total is told.
    no_totals: bool = False
    #: What is not there is told as null: links, bookmarks.
    nulls: bool = False
    #: Artifacts are listed flat, with less than reading them tells.
    flat_artifacts: bool = False
    #: Columns stand nested in the data quality asset of their table.
    nested_children: bool = False
    #: What changed since a moment has what was deleted since, too.
    tells_deleted: bool = False
    #: Quality issues come in no order, whatever is asked for.
    unsorted_issues: bool = False
    #: Members go on by `bookmark` and tell `total_rows`.
    members_as_others: bool = False
    #: What is not there answers 410.
    gone: bool = False
    #: Data contracts are flat, as they are described.
    flat_contracts: bool = False
    #: Of several categories that are asked for together one that is not there has all refused.
    strict_categories: bool = False

    @classmethod
    def each(cls) -> Iterator[Forms]:
        """Each form alone."""
        for one in fields(cls):
            yield cls(**{one.name: True})

    @classmethod
    def mixture(cls, seed: int) -> Forms:
        """Some of the forms."""
        dice = random.Random(seed)
        return cls(**{one.name: dice.random() < 0.4 for one in fields(cls)})

    def __str__(self) -> str:
        return "+".join(one.name for one in fields(self) if getattr(self, one.name)) or "none"


def formed(body: Any, forms: Forms) -> Any:
    """An answer in the forms that are switched on; one that lists nothing stays as it is."""
    if not isinstance(body, dict):
        return body
    key = next((name for name in _LISTS if isinstance(body.get(name), list)), None)
    if key is None:
        return body
    told = dict(body)
    if forms.odd_items and told[key]:
        told[key] = [*told[key], None, "a text"]
    for total in _TOTALS:
        if total in told and isinstance(told[total], int):
            _change_total(told, total, forms)
    if forms.nulls:
        told = {"next": None, "bookmark": None, "nextBookmark": None, **told}
    return {("entries" if name == key and forms.other_keys else name): value for name, value in told.items()}


def _change_total(told: dict[str, Any], total: str, forms: Forms) -> None:
    if forms.no_totals:
        del told[total]
    elif forms.larger_totals:
        told[total] += _BEYOND
    elif forms.smaller_totals:
        told[total] = max(0, told[total] - _BEYOND)
