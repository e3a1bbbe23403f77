"""From the changes of a batch to a plan, without a store: of several states of a thing only the newest is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from service.changes import (
    AssetDeleted,
    AssetMentioned,
    AssetSaved,
    Change,
    Container,
    ContainerDeleted,
    ContainerSaved,
    LineageRecorded,
    ProfileDeleted,
    ProfileDocumentRead,
    ProfileMentioned,
    ProfileSaved,
    Rank,
    RefreshAsked,
    ThingDeleted,
    ThingSaved,
    UsageObserved,
    Version,
)
from service.kinds import THINGS
from service.mirror.rows import (
    AssetStub,
    ContainerStub,
    OriginalRow,
    assertion_rows,
    asset_row,
    container_row,
    edge_rows,
    lineage_row,
    link_rows,
    moment_of,
    place_of,
    profile_row,
    profile_stub,
    state_of,
    text_of,
    thing_row,
)
from service.text.documents import DIGEST_BYTES

#: Seconds after a tie before the thing is read again: events carry whole seconds, so one more could still tie.
TIE_REFRESH_DELAY_S = 2.0


@dataclass(slots=True)
class StateRow:
    """The newest state of one thing in a batch."""

    version: Version
    #: Bytes of the version, which the store compares.
    key: bytes
    #: Of a `row_of` its table.
    values: Any
    #: Index of the event that it came from.
    event: int
    change: Change | None
    #: States of the same batch that it overtook.
    overtaken: list[StateRow] = field(default_factory=list)

    @property
    def versions(self) -> list[Version]:
        """Its version, and those of the states that it overtook."""
        return [self.version, *(older.version for older in self.overtaken)]


@dataclass(slots=True)
class Plan:
    """What one batch wants written: rows by table, each by key."""

    containers: dict[str, StateRow] = field(default_factory=dict)
    assets: dict[str, StateRow] = field(default_factory=dict)
    data_profiles: dict[str, StateRow] = field(default_factory=dict)
    #: By kind.
    things: dict[str, dict[str, StateRow]] = field(default_factory=dict)
    #: Documents of profiles, with the index of the event that each came from.
    documents: list[tuple[int, ProfileDocumentRead]] = field(default_factory=list)
    lineage_events: dict[str, StateRow] = field(default_factory=dict)
    #: Edges that add to those which are there, whichever state of their event wins.
    added_edges: set[Any] = field(default_factory=set)
    #: OpenLineage events as they were sent, by their id.
    originals: dict[str, Any] = field(default_factory=dict)
    #: By the id that the version before would have kept it by, the events that it may have kept.
    former: dict[str, list[str]] = field(default_factory=dict)
    #: What tests found, by the id of the OpenLineage event that tells it.
    assertions: dict[str, list[Any]] = field(default_factory=dict)
    #: What tells of columns and runs, which counts by versions of its own, whichever state of its event wins.
    told: list[LineageRecorded] = field(default_factory=list)
    #: Further names of data sets, by the id of the OpenLineage event that tells them.
    links: dict[str, list[Any]] = field(default_factory=dict)
    #: The newest of each id, whichever state of its lineage event wins.
    facts: dict[str, UsageObserved] = field(default_factory=dict)
    #: Index of the event that each came from.
    fact_events: dict[str, int] = field(default_factory=dict)
    refreshes: list[RefreshAsked] = field(default_factory=list)


def plan_of(changes: Iterable[tuple[int, Change]]) -> Plan:
    """The rows of a batch; each change comes with the index of its event."""
    plan = Plan()
    for event, change in changes:
        _PLANNERS[type(change)](plan, event, change)
    return plan


def _put(
    rows: dict[str, StateRow], row_id: str, version: Version, values: Any, event: int, change: Change | None
) -> None:
    row = StateRow(version, values.version, values, event, change)
    there = rows.get(row_id)
    if there is None:
        rows[row_id] = row
    elif row.key > there.key:
        rows[row_id], row.overtaken = row, [*there.overtaken, there]
    elif row.key < there.key:
        there.overtaken.append(row)


@lru_cache(maxsize=4096)
def _stub(known: Container | None) -> Version:
    """The version of a row that is only referred to: knowing the container beats not knowing it, then digest."""
    if known is None:
        return Version(None, Rank.STUB)
    text = f"{known.kind}/{known.id}".encode("utf-8", "surrogatepass")
    return Version(None, Rank.STUB, b"\x01" + blake2b(text, digest_size=DIGEST_BYTES - 1).digest())


@lru_cache(maxsize=8)
def _container_stub(kind: str) -> Version:
    """The version of a container that is only referred to: of two kinds the later word counts."""
    return Version(None, Rank.STUB, kind.encode().ljust(DIGEST_BYTES, b"\0"))


def _container(plan: Plan, event: int, container: Container | None) -> None:
    if container is None:
        return
    there = plan.containers.get(container.id)
    if there is None or there.values.kind != container.kind:
        version = _container_stub(container.kind)
        values = ContainerStub(container.id, kind=container.kind, **state_of(version))
        _put(plan.containers, container.id, version, values, event, None)


def _container_saved(plan: Plan, event: int, change: ContainerSaved) -> None:
    values = container_row(change)
    _put(plan.containers, change.container.id, change.version, values, event, change)


def _container_deleted(plan: Plan, event: int, change: ContainerDeleted) -> None:
    state = state_of(change.version, deleted=True)
    values = ContainerStub(change.container.id, kind=change.container.kind, **state)
    _put(plan.containers, change.container.id, change.version, values, event, change)


def _mention_asset(plan: Plan, event: int, asset_id: str | None, container: Container | None) -> None:
    _container(plan, event, container)
    if asset_id is None:
        return
    version, there = _stub(container), plan.assets.get(asset_id)
    if there is not None and there.version is version:  # as in most events of a batch
        return
    kind, container_id = place_of(container)
    values = AssetStub(asset_id, container_kind=kind, container_id=container_id, **state_of(version))
    _put(plan.assets, asset_id, version, values, event, None)


def _asset_mentioned(plan: Plan, event: int, change: AssetMentioned) -> None:
    _mention_asset(plan, event, change.asset_id, change.container)


def _asset_saved(plan: Plan, event: int, change: AssetSaved) -> None:
    _container(plan, event, change.container)
    values = asset_row(change)
    _put(plan.assets, change.asset_id, change.version, values, event, change)


def _asset_deleted(plan: Plan, event: int, change: AssetDeleted) -> None:
    _container(plan, event, change.container)
    kind, container_id = place_of(change.container)
    state = state_of(change.version, deleted=True)
    values = AssetStub(change.asset_id, container_kind=kind, container_id=container_id, **state)
    _put(plan.assets, change.asset_id, change.version, values, event, change)


def _thing_saved(plan: Plan, event: int, change: ThingSaved) -> None:
    _container(plan, event, change.container)
    values = THINGS[change.kind].row() if change.values is None else change.values
    texts = (text_of(value) if isinstance(value, str) else value for value in values)
    row = thing_row(change, texts, state_of(change.version, change.document.text))
    _put(plan.things.setdefault(change.kind, {}), change.thing_id, change.version, row, event, change)


def _thing_deleted(plan: Plan, event: int, change: ThingDeleted) -> None:
    row = thing_row(change, THINGS[change.kind].row(), state_of(change.version, deleted=True))
    _put(plan.things.setdefault(change.kind, {}), change.thing_id, change.version, row, event, change)


def _profile_saved(plan: Plan, event: int, change: ProfileSaved) -> None:
    _mention_asset(plan, event, change.asset_id, change.container)
    values = profile_row(change)
    _put(plan.data_profiles, change.profile_id, change.version, values, event, change)


def _document_read(plan: Plan, event: int, change: ProfileDocumentRead) -> None:
    plan.documents.append((event, change))


def _profile_mentioned(plan: Plan, event: int, change: ProfileMentioned) -> None:
    _mention_asset(plan, event, change.asset_id, change.container)
    version = _stub(change.container)
    if change.asset_id:  # two mentions that differ in the data set must not depend on their order either
        text = version.digest + change.asset_id.encode("utf-8", "surrogatepass")
        digest = version.digest[:1] + blake2b(text, digest_size=DIGEST_BYTES - 1).digest()
        version = Version(None, Rank.STUB, digest)
    values = profile_stub(change, state_of(version))
    _put(plan.data_profiles, change.profile_id, version, values, event, None)


def _profile_deleted(plan: Plan, event: int, change: ProfileDeleted) -> None:
    _mention_asset(plan, event, change.asset_id, change.container)
    values = profile_stub(change, state_of(change.version, deleted=True))
    _put(plan.data_profiles, change.profile_id, change.version, values, event, change)


def _lineage_recorded(plan: Plan, event: int, change: LineageRecorded) -> None:
    for edge in change.edges:
        _mention_asset(plan, event, edge.asset_id, edge.container)
    for link in change.links:
        _mention_asset(plan, event, link.other_id, None)
    if change.accumulates:
        plan.added_edges.update(edge_rows(change))
        for fact in change.usage:
            _usage_observed(plan, event, fact)
    if change.columns or change.run_facts:
        plan.told.append(change)
    if change.original:
        original_id, document, former = change.original
        at = moment_of(change.version.at_us)
        plan.originals[original_id] = OriginalRow(
            openlineage_id=original_id, event_id=change.event_id, event_time=at, document=document.text
        )
        if change.assertions:
            plan.assertions[original_id] = list(assertion_rows(change))
        if change.links:
            plan.links[original_id] = list(link_rows(change))
        if former:
            plan.former.setdefault(former, []).append(original_id)
    _put(plan.lineage_events, change.event_id, change.version, lineage_row(change, own=False), event, change)


def _usage_observed(plan: Plan, event: int, change: UsageObserved) -> None:
    there = plan.facts.get(change.fact_id)
    if there is None or change.version.key > there.version.key:
        plan.facts[change.fact_id] = change
        plan.fact_events[change.fact_id] = event


def _refresh_asked(plan: Plan, event: int, change: RefreshAsked) -> None:
    plan.refreshes.append(change)


_PLANNERS: dict[type, Any] = {
    ContainerSaved: _container_saved,
    ContainerDeleted: _container_deleted,
    AssetMentioned: _asset_mentioned,
    AssetSaved: _asset_saved,
    AssetDeleted: _asset_deleted,
    ProfileSaved: _profile_saved,
    ProfileDocumentRead: _document_read,
    ProfileMentioned: _profile_mentioned,
    ProfileDeleted: _profile_deleted,
    ThingSaved: _thing_saved,
    ThingDeleted: _thing_deleted,
    LineageRecorded: _lineage_recorded,
    UsageObserved: _usage_observed,
    RefreshAsked: _refresh_asked,
}
