"""Data quality: its own assets (with columns as children), checks, issues and scores, per catalog or project."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.catalog.clock import Clock, iso_millis, iso_seconds
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.problems import not_found

DIMENSIONS = ("COMPLETENESS", "Validity", "Uniqueness")
#: What every check here is.
CHECK_TYPE = "data_rule"


@dataclass(slots=True)
class QualityAsset:
    """A data asset or a column of one, as the quality service knows it; `native_id` names the catalog's asset."""

    id: str
    container_id: str
    name: str
    type: str
    native_id: str
    parent: str | None
    created_s: float
    weight: int = 1
    #: Oldest first: when, and which part of the values was good.
    scores: list[tuple[float, float]] = field(default_factory=list)


@dataclass(slots=True)
class Check:
    """Something that is looked at."""

    id: str
    container_id: str
    name: str
    dimension: str
    created_s: float


@dataclass(slots=True)
class Issue:
    """What a check found about a quality asset; older findings of the same are archived."""

    id: str
    check: Check
    asset: QualityAsset
    occurrences: int
    tested: int
    created_s: float
    updated_s: float
    ignored: bool = False
    archived: bool = False


class Quality:
    """Everything of the quality service; nothing on the broker tells of it."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids, self._clock = ids, clock
        self._assets: dict[str, QualityAsset] = {}
        self._checks: dict[str, Check] = {}
        self._issues: dict[str, Issue] = {}

    def assets(self, container_id: str, *, children: bool) -> list[QualityAsset]:
        """Quality assets of a container; columns only where `children`."""
        found = (one for one in self._assets.values() if one.container_id == container_id)
        return [one for one in found if children or one.parent is None]

    def checks(self, container_id: str) -> list[Check]:
        """Checks of a container."""
        return [one for one in self._checks.values() if one.container_id == container_id]

    def issues(self, container_id: str, *, children: bool = True, latest_only: bool = True) -> list[Issue]:
        """Issues of a container."""
        found = (one for one in self._issues.values() if one.check.container_id == container_id)
        return [one for one in found if (children or one.asset.parent is None) and not (latest_only and one.archived)]

    def asset(self, asset_id: str, container_id: str) -> QualityAsset:
        """One quality asset; raises Problem 404."""
        found = self._assets.get(asset_id)
        if found is None or found.container_id != container_id:
            raise not_found("asset", asset_id)
        return found

    def add_asset(self, container_id: str, asset_id: str, name: str, columns: list[str]) -> str:
        """Make a catalog's asset and its columns known here; answers the quality service's own id for the asset."""
        parent = self._add(container_id, name, "data_asset", f"{container_id}/{asset_id}", None)
        for column in columns:
            self._add(container_id, column, "column", f"{container_id}/{asset_id}/{column}", parent)
        return parent

    def add_check(self, container_id: str, name: str, dimension: str = "Validity") -> str:
        """Make a check; answers its id."""
        check_id = self._ids.new(Kind.QUALITY)
        self._checks[check_id] = Check(check_id, container_id, name, dimension, self._clock.now())
        return check_id

    def delete_check(self, check_id: str) -> None:
        """Remove a check with its issues."""
        del self._checks[check_id]
        self._issues = {key: one for key, one in self._issues.items() if one.check.id != check_id}

    def report(self, check_id: str, asset_id: str, occurrences: int, tested: int) -> str:
        """A check found something; what it found before about the same is archived. Answers the issue's id."""
        for old in self._issues.values():
            if old.check.id == check_id and old.asset.id == asset_id and not old.archived:
                old.archived, old.updated_s = True, self._clock.now()
        issue_id, now_s = self._ids.new(Kind.QUALITY), self._clock.now()
        self._issues[issue_id] = Issue(
            issue_id, self._checks[check_id], self._assets[asset_id], occurrences, tested, now_s, now_s
        )
        self._assets[asset_id].scores.append((now_s, round(1 - occurrences / max(tested, 1), 4)))
        return issue_id

    def set_ignored(self, issue_id: str, ignored: bool) -> None:
        """Somebody looked at an issue and does not care, or does again."""
        issue = self._issues[issue_id]
        issue.ignored, issue.updated_s = ignored, self._clock.now()

    def _add(self, container_id: str, name: str, asset_type: str, native_id: str, parent: str | None) -> str:
        new_id = self._ids.new(Kind.QUALITY)
        now_s = self._clock.now()
        self._assets[new_id] = QualityAsset(new_id, container_id, name, asset_type, native_id, parent, now_s)
        return new_id


def asset_document(one: QualityAsset) -> dict[str, Any]:
    """A quality asset as the service shows it."""
    told = {"id": one.id, "name": one.name, "type": one.type, "native_id": one.native_id, "weight": one.weight}
    return told | _made(one.created_s)


def check_document(one: Check) -> dict[str, Any]:
    """A check as the service shows it."""
    told = {"id": one.id, "name": one.name, "type": CHECK_TYPE, "native_id": f"{one.container_id}/{one.id}"}
    return told | {"dimension": _dimension(one.dimension)} | _made(one.created_s)


def issue_document(one: Issue, *, show_updated_at: bool) -> dict[str, Any]:
    """An issue as the service shows it: camel case in `reported_for`, times without milliseconds."""
    check = check_document(one.check)
    told: dict[str, Any] = {
        "id": one.id,
        "check": {key: check[key] for key in ("id", "name", "native_id", "creator_id", "created_at")} | {"type": "ANY"},
        "reported_for": {"id": one.asset.id, "nativeId": one.asset.native_id},
        "number_of_occurrences": one.occurrences,
        "number_of_tested_records": one.tested,
        "status": "archive" if one.archived else "actual",
        "ignored": one.ignored,
        "creator_id": "SYSTEM",
        "created_at": iso_seconds(one.created_s),
    }
    return told | ({"updated_at": iso_millis(one.updated_s)} if show_updated_at else {})


def scores_document(one: QualityAsset, children: list[QualityAsset]) -> dict[str, Any]:
    """The scores of a quality asset, newest first; `total_count` is not to be trusted."""
    return {
        "total_count": 100,
        "asset": {"id": one.id, "name": one.name},
        "scores": _scores(one),
        "children": [{"asset": {"id": child.id, "name": child.name}, "scores": _scores(child)} for child in children],
    }


def _scores(one: QualityAsset) -> list[dict[str, Any]]:
    return [
        {
            "status": "actual" if place == 0 else "archive",
            "score": score,
            "number_of_checks": 1,
            "timestamp": iso_seconds(at_s),
            "dimension_scores": [{"dimension": _dimension("Validity"), "score": score, "timestamp": iso_millis(at_s)}],
        }
        for place, (at_s, score) in enumerate(reversed(one.scores))
    ]


def dimension_documents() -> list[dict[str, Any]]:
    """All dimensions."""
    return [_dimension(name) for name in DIMENSIONS]


def _dimension(name: str) -> dict[str, Any]:
    return {
        "id": f"dimension-{name.lower()}",
        "name": name,
        "creator_id": "SYSTEM",
        "created_at": "2022-02-02T10:51:02Z",
    }


def _made(at_s: float) -> dict[str, str]:
    return {"creator_id": "SYSTEM", "created_at": iso_millis(at_s)}
