"""Data quality over HTTP, by start token; one of a catalog and a project must be named."""

from __future__ import annotations

from sandbox.catalog.calls import Answer, Call
from sandbox.catalog.paging import started
from sandbox.catalog.problems import not_found
from sandbox.catalog.quality import (
    CHECK_TYPE,
    Issue,
    asset_document,
    check_document,
    dimension_documents,
    issue_document,
    scores_document,
)

_SORTS = ("check_name", "check_type", "check_dimension_name", "percent_occurrences", "ignored", "updated_at")
_DIRECTIONS = ("asc", "desc")


def list_quality_assets(call: Call) -> Answer:
    """`GET /data_quality/v4/assets`: columns only where children are asked for."""
    container = call.container("catalog", "project")
    limit = call.number("limit", 200)
    wanted, nested = call.flag("include_children", False), call.catalog.knobs.forms.nested_children
    of_type = call.text("type")
    every = [one for one in call.catalog.quality.assets(container.id, children=wanted) if of_type in (None, one.type)]
    assets = [one for one in every if one.parent is None] if nested else every
    page, links = started(call, assets, lambda one: (one.created_s, one.id), limit)
    shown = [asset_document(one) for one in page]
    if nested:
        for document in shown:
            document["children"] = [asset_document(one) for one in every if one.parent == document["id"]]
    return Answer({"total_count": len(assets), "limit": limit, **links, "assets": shown})


def list_checks(call: Call) -> Answer:
    """`GET /data_quality/v4/checks`: of an asset with its columns by `asset.id`, of one type by `type`."""
    container = call.container("catalog", "project")
    limit = call.number("limit", 200)
    quality, about = call.catalog.quality, call.text("asset.id")
    checks = quality.checks(container.id) if call.text("type") in (None, CHECK_TYPE) else []
    if about:
        issues = quality.issues(container.id, latest_only=False)
        of_asset = {
            one.check.id for one in issues if _is_about(one, about, children=call.flag("include_children", True))
        }
        checks = [one for one in checks if one.id in of_asset]
    page, links = started(call, checks, lambda one: (one.created_s, one.id), limit)
    shown = [check_document(one) for one in page]
    return Answer({"total_count": len(checks), "limit": limit, **links, "checks": shown})


def list_issues(call: Call) -> Answer:
    """`GET /data_quality/v4/issues`: the last changed first unless another order is asked for."""
    container = call.container("catalog", "project")
    limit = call.number("limit", 200)
    children, latest = call.flag("include_children", True), call.flag("latest_only", True)
    about = call.text("reported_for.id")
    sort, direction = call.choice("sort_by", "updated_at", _SORTS), call.choice("sort_direction", "desc", _DIRECTIONS)
    issues = call.catalog.quality.issues(container.id, children=children or bool(about), latest_only=latest)
    if about:
        issues = [one for one in issues if _is_about(one, about, children=children)]
    if call.text("type") not in (None, CHECK_TYPE):
        issues = []
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


def find_asset(call: Call) -> Answer:
    """`POST /data_quality/v4/search_dq_asset`: the one with this native id and type."""
    container, native_id, of_type = call.container("catalog", "project"), call.required("native_id"), call.text("type")
    for one in call.catalog.quality.assets(container.id, children=True):
        if one.native_id == native_id and of_type in (None, one.type):
            return Answer(asset_document(one))
    raise not_found("asset", native_id)


def find_check(call: Call) -> Answer:
    """`POST /data_quality/v4/search_dq_check`: the one with this native id and type."""
    container, native_id = call.container("catalog", "project"), call.required("native_id")
    for one in call.catalog.quality.checks(container.id):
        document = check_document(one)
        if document["native_id"] == native_id and call.text("type") in (None, document["type"]):
            return Answer(document)
    raise not_found("check", native_id)


def find_issue(call: Call) -> Answer:
    """`POST /data_quality/v4/search_dq_issue`: what a check last found about an asset."""
    container = call.container("catalog", "project")
    about, check = call.required("reported_for.id"), call.required("check.id")
    for one in call.catalog.quality.issues(container.id):
        if (one.asset.id, one.check.id) == (about, check):
            return Answer(issue_document(one, show_updated_at=call.catalog.knobs.issues_show_updated_at))
    raise not_found("issue", check)


def find_dimensions(call: Call) -> Answer:
    """`POST /data_quality/v4/search_dq_dimension`: those of this name, in whatever case."""
    name = call.required("name").lower()
    return Answer({"dimensions": [one for one in dimension_documents() if one["name"].lower() == name]})


def _is_about(issue: Issue, asset_id: str, *, children: bool) -> bool:
    return issue.asset.id == asset_id or (children and issue.asset.parent == asset_id)


def _rank(issue: Issue, sort: str) -> float | str:
    ranks: dict[str, float | str] = {
        "check_name": issue.check.name,
        "check_type": CHECK_TYPE,
        "check_dimension_name": issue.check.dimension,
        "percent_occurrences": issue.occurrences / max(issue.tested, 1),
        "ignored": float(issue.ignored),
        "updated_at": issue.updated_s,
    }
    return ranks[sort]
