"""Data quality over HTTP, by start token; one of a catalog and a project must be named."""

from __future__ import annotations

from sandbox.catalog.calls import Answer, Call
from sandbox.catalog.paging import started
from sandbox.catalog.quality import Issue, asset_document, check_document, issue_document, scores_document

_SORTS = ("check_name", "check_type", "check_dimension_name", "percent_occurrences", "ignored", "updated_at")
_DIRECTIONS = ("asc", "desc")


def list_quality_assets(call: Call) -> Answer:
    """`GET /data_quality/v4/assets`: columns only where children are asked for."""
    container = call.container("catalog", "project")
    limit = call.number("limit", 200)
    wanted, nested = call.flag("include_children", False), call.catalog.knobs.forms.nested_children
    every = call.catalog.quality.assets(container.id, children=wanted)
    assets = [one for one in every if one.parent is None] if nested else every
    page, links = started(call, assets, lambda one: (one.created_s, one.id), limit)
    shown = [asset_document(one) for one in page]
    if nested:
        for document in shown:
            document["children"] = [asset_document(one) for one in every if one.parent == document["id"]]
    return Answer({"total_count": len(assets), "limit": limit, **links, "assets": shown})


def list_checks(call: Call) -> Answer:
    """`GET /data_quality/v4/checks`."""
    container = call.container("catalog", "project")
    limit = call.number("limit", 200)
    checks = call.catalog.quality.checks(container.id)
    page, links = started(call, checks, lambda one: (one.created_s, one.id), limit)
    shown = [check_document(one) for one in page]
    return Answer({"total_count": len(checks), "limit": limit, **links, "checks": shown})


def list_issues(call: Call) -> Answer:
    """`GET /data_quality/v4/issues`: the last changed first unless another order is asked for."""
    container = call.container("catalog", "project")
    limit = call.number("limit", 200)
    children, latest = call.flag("include_children", True), call.flag("latest_only", True)
    sort, direction = call.choice("sort_by", "updated_at", _SORTS), call.choice("sort_direction", "desc", _DIRECTIONS)
    issues = call.catalog.quality.issues(container.id, children=children, latest_only=latest)
    ranked = sorted(((_rank(one, sort), one.id, one) for one in issues), reverse=direction == "desc")
    if call.catalog.knobs.forms.unsorted_issues:
        ranked.sort(key=lambda one: one[1])
    # Tokens rise with the place in this order.
    numbered = [(number, one) for number, (_, _, one) in enumerate(ranked)]
    page, links = started(call, numbered, lambda pair: (pair[0],), limit)
    show = call.catalog.knobs.issues_show_updated_at
    shown = [issue_document(one, show_updated_at=show) for _, one in page]
    return Answer({"total_count": len(issues), "limit": limit, **links, "issues": shown})


def get_scores(call: Call) -> Answer:
    """`GET /data_quality/v4/scores`: of one asset of the quality service."""
    container = call.container("catalog", "project")
    asset = call.catalog.quality.asset(call.required("asset_id"), container.id)
    wanted = call.flag("include_children", False)
    children = call.catalog.quality.assets(container.id, children=True) if wanted else []
    return Answer(scores_document(asset, [one for one in children if one.parent == asset.id]))


def _rank(issue: Issue, sort: str) -> float | str:
    ranks: dict[str, float | str] = {
        "check_name": issue.check.name,
        "check_type": "data_rule",
        "check_dimension_name": issue.check.dimension,
        "percent_occurrences": issue.occurrences / max(issue.tested, 1),
        "ignored": float(issue.ignored),
        "updated_at": issue.updated_s,
    }
    return ranks[sort]
