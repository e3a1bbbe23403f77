"""The traps that can be switched, also while the catalog runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.catalog.forms import Forms


@dataclass(slots=True)
class Knobs:
    """What the catalog does beyond answering; the defaults are the traps that hurt nobody who reads the contract."""

    #: Which of the forms that documents leave open its answers have.
    forms: Forms = field(default_factory=Forms)
    #: What a test does to an answer: gets the path, the query and the body, gives the body, or a whole HTTP response.
    spoil: Callable[[str, Any, Any], Any] | None = None
    #: Seconds on the catalog's clock after which asset search and global search see a change.
    index_lag_s: float = 0.0
    #: Seconds on the catalog's clock after which background work (the clean-up behind a deleted type) is done.
    background_delay_s: float = 0.0
    #: Seconds on the catalog's clock that a token lives.
    token_life_s: float = 3600.0
    #: Requests per window; None is no limit.
    rate_limit_per_minute: int | None = None
    #: Seconds of real time in a window; shorter ones make shorter tests.
    rate_limit_window_s: float = 60.0
    #: Which headers tell when to come back; services differ.
    rate_limit_headers: frozenset[str] = frozenset({"Retry-After", "X-RateLimit-Reset", "X-RateLimit-Remaining"})
    #: Share of requests that fail for no reason, with what, and whether every other one has a proxy's HTML as body.
    failure_rate: float = 0.0
    failure_statuses: tuple[int, ...] = (500, 503)
    html_failures: bool = True
    #: Seconds of real time before each answer.
    latency_s: float = 0.0
    #: What content of an archived container answers: 403 or 410.
    archived_status: int = 403
    #: What an asset of visibility mode 16 answers to those it is hidden from (assumed: documents are silent).
    hidden_status: int = 403
    #: Artifacts that the list leaves out, though they can be read.
    unlisted_artifacts: frozenset[str] = frozenset()
    #: Data sets whose profiles we may not see.
    closed_profiles: frozenset[str] = frozenset()
    #: Assets whose data a data protection rule denies to us: without `allow_metadata_on_dpr_deny` no search has them
    #: and reading answers 403 (assumed: documents name the parameter alone).
    denied_assets: frozenset[str] = frozenset()
    #: Where signed URLs lead; None: to the catalog itself.
    storage: str | None = None
    #: hrefs point to hosts inside the cluster.
    internal_hrefs: bool = True
    #: Floats for integers, and `created` in scientific notation.
    odd_numbers: bool = True
    #: `version` is 0 in search results and 2 elsewhere.
    search_version_zero: bool = True
    #: A bookmark or a next link comes with the last page too.
    bookmark_on_last_page: bool = True
    #: Share of accepted lineage events that are answered with 204 and no body.
    lineage_no_content: float = 0.25
    #: Reading a card over HTTP counts as access (`usage.access_count`); every card read is then kept in memory.
    reads_touch_usage: bool = False
    #: Quality issues tell `updated_at`; they can be sorted by it, but no documented example shows it.
    issues_show_updated_at: bool = False
    #: The undocumented feed of the search index is published too.
    search_feed: bool = False
