"""Data profiles: they live in the attribute `data_profile` of the card that they describe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sandbox.catalog import cards
from sandbox.catalog.assets import Assets, Record
from sandbox.catalog.cards import Card
from sandbox.catalog.clock import Clock, iso_millis, to_millis
from sandbox.catalog.containers import Container
from sandbox.catalog.editing import EDITOR, Editing
from sandbox.catalog.events import Announcer
from sandbox.catalog.ids import Ids, Kind, mix
from sandbox.catalog.problems import Problem, bad_request, not_found
from sandbox.catalog.tables import column

#: The service that writes profiling results into cards.
PROFILER = "iam-ServiceId-0000-profiler"
#: States of a run during which a profile is still executing.
EXECUTING = ("submitted", "running")


class Profiles:
    """Profiling data sets. Creating and changing is told on the broker; deleting is not."""

    def __init__(self, assets: Assets, editing: Editing, announcer: Announcer, ids: Ids, clock: Clock) -> None:
        self._assets, self._editing, self._announcer = assets, editing, announcer
        self._ids, self._clock = ids, clock

    def of(self, asset_id: str) -> list[dict[str, Any]]:
        """The profiles of a live data set."""
        return cards.profiles_in(self._assets.live(asset_id).card)

    def one(self, asset_id: str, profile_id: str) -> dict[str, Any]:
        """A profile of a live data set; raises Problem 404."""
        for profile in self.of(asset_id):
            if profile["metadata"]["guid"] == profile_id:
                return profile
        raise not_found("data profile", profile_id)

    def all(self) -> Iterator[tuple[Container, Record, dict[str, Any]]]:
        """Every profile of every live data set, with its container and data set."""
        for record in self._assets.carrying("data_profile"):
            container = self._assets.container_of(record)
            if not container.deleted:
                yield from ((container, record, profile) for profile in cards.profiles_in(record.card))

    def create(self, asset_id: str, *, start: bool = False) -> str:
        """Make a profile, and start its run where asked; answers its id."""
        container = self._assets.container_of(self._assets.live(asset_id))
        if container.kind == "space":
            raise bad_request("Data sets are profiled in catalogs and projects.")
        profile_id = self._ids.new(Kind.CREATED_PROFILE)
        made = cards.profile(profile_id, asset_id, container.kind, container.id, created_s=self._clock.now(), by=EDITOR)
        made["entity"]["data_profile"]["execution"]["status"] = "submitted" if start else "none"

        def change(card: Card) -> None:
            card["entity"].setdefault("data_profile", {})[profile_id] = made

        self._editing.edit(asset_id, change, by=EDITOR)
        self._announcer.profile(made, container, created=True)
        return profile_id

    def patch(self, asset_id: str, profile_id: str, *, status: str | None = None, **options: Any) -> None:
        """Change options of a profile, or the state of its run."""

        def change(card: Card) -> None:
            inner = card["entity"]["data_profile"][profile_id]["entity"]["data_profile"]
            inner["options"] |= options
            if status is not None:
                inner["execution"]["status"] = status

        self._change(asset_id, profile_id, change)

    def finish(self, asset_id: str, profile_id: str, *, failed: bool = False) -> None:
        """End a profile's run; a good one adds columns, an attachment with the results, and says so in the card."""
        if failed:
            self.patch(asset_id, profile_id, status="failed")
            return
        attachment_id, size = (
            self._ids.new(Kind.CREATED_ATTACHMENT),
            9000 + mix(len(profile_id), int(profile_id[:4], 16)) % 999,
        )

        told = self.one(asset_id, profile_id)

        def change(card: Card) -> None:
            attribute = card["entity"]["data_profile"]
            inner = attribute[profile_id]["entity"]["data_profile"]
            inner["execution"] = {"status": "finished", "is_supported": True, "dataflow_id": f"flow-{profile_id[:8]}"}
            inner["execution"]["dataflow_run_id"] = f"run-{attachment_id[:8]}"
            inner["attachment_id"] = attachment_id
            attribute["attribute_classes"] = ["NoClassDetected"]
            _add_results(card, profile_id, attachment_id, size, to_millis(self._clock.now()))
            if int(profile_id[0], 16) % 2:  # as events were seen to carry them
                inner["columns"] = [_classified(column, attachment_id) for column in results(told, card)["columns"]]

        self._change(asset_id, profile_id, change)

    def delete(self, asset_id: str, profile_id: str, *, stop: bool = False) -> None:
        """Remove a profile with its results; refused while it runs unless it is to be stopped."""
        status = self.one(asset_id, profile_id)["entity"]["data_profile"]["execution"]["status"]
        if status in EXECUTING and not stop:
            raise Problem(409, "profiling_in_progress", f"The data profile '{profile_id}' is running.")

        def change(card: Card) -> None:
            attribute = card["entity"]["data_profile"]
            attachment_id = attribute.pop(profile_id)["entity"]["data_profile"].get("attachment_id")
            card["attachments"] = [one for one in card.get("attachments", []) if one["id"] != attachment_id]
            if not cards.profiles_in(card) and "data_classification_manual" not in attribute:
                del card["entity"]["data_profile"]

        self._editing.edit(asset_id, change, by=EDITOR)

    def classify(self, asset_id: str, classifications: list[dict[str, str]]) -> None:
        """Classify a data set by hand (`id`, `name`, `global_id` each); needs no profile."""

        def change(card: Card) -> None:
            card["entity"].setdefault("data_profile", {})["data_classification_manual"] = classifications

        self._editing.edit(asset_id, change, by=EDITOR)

    def _change(self, asset_id: str, profile_id: str, change: Callable[[Card], None]) -> None:
        self.one(asset_id, profile_id)
        now = iso_millis(self._clock.now())

        def changed(card: Card) -> None:
            change(card)
            card["entity"]["data_profile"][profile_id]["metadata"] |= {"accessed_at": now, "last_updater_id": PROFILER}

        self._editing.edit(asset_id, changed, by=PROFILER)
        container = self._assets.container_of(self._assets.live(asset_id))
        self._announcer.profile(self.one(asset_id, profile_id), container, created=False)


def results(profile: dict[str, Any], card: Card) -> dict[str, Any]:
    """The extended profile document, with values of the data in it; reached by a signed URL only."""
    rows = int(profile["metadata"]["guid"][:6], 16) % 90_000 + 10
    names = [one["name"] for one in card["entity"].get("data_asset", {}).get("columns", [])]
    stats = {"n": len(names), "mean": 1.0, "variance": 0, "stddev": 0, "min": 1, "max": 1, "sum": len(names)}
    return {
        "summary": {"version": "1.9.3", "row_count": rows, "score": 1, "score_stats": stats},
        "columns": [{"name": name, "value_analysis": _value_analysis(name, rows)} for name in names],
    }


def _classified(column: dict[str, Any], run: str) -> dict[str, Any]:
    """A column as a profile itself carries it, another class and other figures at each run."""
    chance = mix(*run.encode(), *column["name"].encode())
    analysis = column["value_analysis"] | {"total_count": 1000, "null_count": chance % 1000}
    code = ("EM", "US", "NoClassDetected")[chance % 3]
    return column | {"value_analysis": analysis, "column_classification": {"class_code": code, "priority": 70}}


def _value_analysis(name: str, rows: int) -> dict[str, Any]:
    distinct = max(1, rows // (1 + len(name)))
    return {
        "distinct_count": distinct,
        "null_count": rows % 7,
        "empty_count": 0,
        "unique_count": distinct // 2,
        "max_value_frequency": rows - distinct + 1,
        "min_string": "Abel",
        "max_string": "Zora",
        "inferred_type": {"type": {"length": 4, "precision": 0, "scale": 0, "type": "STRING"}},
    }


def _add_results(card: Card, profile_id: str, attachment_id: str, size: int, now_ms: int) -> None:
    card["metadata"]["size"] = size
    name = f"data_profile_{profile_id}"
    attachment = cards.referenced_attachment(
        attachment_id, "data_profile", name, key=name, by=PROFILER, created_ms=now_ms, size=size
    )
    card["attachments"] = [*card.get("attachments", []), attachment]
    data_asset = card["entity"].get("data_asset", {})
    if "columns" not in data_asset:
        data_asset |= {"dataset": True, "columns": [column("ID", "bigint", 19), column("NAME")]}
