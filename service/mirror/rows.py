"""From changes to rows: pure, no store. Of several states of one thing in a batch only the newest becomes a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from service.changes import (
    AssetDeleted,
    AssetMentioned,
    AssetSaved,
    Change,
    ColumnFigures,
    Container,
    ContainerDeleted,
    ContainerSaved,
    Copied,
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
from service.text.documents import DIGEST_BYTES, column_text, key_text
from service.text.times import to_datetime

_encoder = msgspec.json.Encoder()
#: In place of figures: the document tells them. Whoever knows nothing of this finds no columns, and no fault.
IN_DOCUMENT = "[]"

#: Seconds after a tie before the thing is read again: events carry whole seconds, so one more could still tie.
TIE_REFRESH_DELAY_S = 2.0


#: What a row says of a container, an asset or a profile that is only referred to, or gone.
_UNKNOWN_CONTAINER = (None,) * 6
_UNKNOWN_ASSET = (None,) * 17
_UNKNOWN_PROFILE = (None,) * 7


@dataclass(slots=True)
class StateRow:
    """The newest state of one thing in a batch."""

    version: Version
    #: Bytes of the version, which the store compares.
    key: bytes
    values: tuple[Any, ...]
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
    added_edges: set[tuple[Any, ...]] = field(default_factory=set)
    #: OpenLineage events as they were sent, by their id.
    originals: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    #: By the id that the version before would have kept it by, the events that it may have kept.
    former: dict[str, list[str]] = field(default_factory=dict)
    #: What tests found, by the id of the OpenLineage event that tells it.
    assertions: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    #: What tells of columns and runs, which counts by versions of its own, whichever state of its event wins.
    told: list[LineageRecorded] = field(default_factory=list)
    #: Further names of data sets, by the id of the OpenLineage event that tells them.
    links: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
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
    rows: dict[str, StateRow], row_id: str, version: Version, values: tuple[Any, ...], event: int, change: Change | None
) -> None:
    row = StateRow(version, version.key, values, event, change)
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


def place_of(container: Container | None) -> tuple[str | None, str | None]:
    """Kind and id of a container, where one is known."""
    return (container.kind, container.id) if container else (None, None)


def text_of(value: str | None) -> str | None:
    """A text as every store can hold it, where there is one."""
    if value is None or (value.isascii() and "\x00" not in value):  # as nearly all are
        return value
    return column_text(value)


def joined_of(texts: tuple[str, ...]) -> str | None:
    """Texts as one column holds them."""
    return column_text(",".join(texts)) if texts else None


def moment_of(at_us: int | None) -> datetime | None:
    """A moment as a column holds it, where there is one."""
    return None if at_us is None else to_datetime(at_us)


def _tail(version: Version, document: str | None, *, deleted: bool = False) -> tuple[Any, ...]:
    """The columns that `state_insert` adds: version, version_at, deleted_at, document."""
    at = moment_of(version.at_us)
    # A tombstone without a time is a tombstone all the same; the epoch stands for "some time ago".
    return (version.key, at, (at or to_datetime(0)) if deleted else None, document)


def _container(plan: Plan, event: int, container: Container | None) -> None:
    if container is None:
        return
    there = plan.containers.get(container.id)
    if there is None or there.values[1] != container.kind:
        version = _container_stub(container.kind)
        values = (container.id, container.kind, *_UNKNOWN_CONTAINER, *_tail(version, None))
        _put(plan.containers, container.id, version, values, event, None)


def _container_saved(plan: Plan, event: int, change: ContainerSaved) -> None:
    values = (
        change.container.id, change.container.kind, text_of(change.name), text_of(change.description),
        text_of(change.state), change.is_governed, text_of(change.creator_id), moment_of(change.created_at_us),
        *_tail(change.version, change.document.text),
    )  # fmt: skip
    _put(plan.containers, change.container.id, change.version, values, event, change)


def _container_deleted(plan: Plan, event: int, change: ContainerDeleted) -> None:
    tail = _tail(change.version, None, deleted=True)
    values = (change.container.id, change.container.kind, *_UNKNOWN_CONTAINER, *tail)
    _put(plan.containers, change.container.id, change.version, values, event, change)


def _mention_asset(plan: Plan, event: int, asset_id: str | None, container: Container | None) -> None:
    _container(plan, event, container)
    if asset_id is None:
        return
    version, there = _stub(container), plan.assets.get(asset_id)
    if there is not None and there.version is version:  # as in most events of a batch
        return
    values = (asset_id, *place_of(container), *_UNKNOWN_ASSET, *_tail(version, None))
    _put(plan.assets, asset_id, version, values, event, None)


def _asset_mentioned(plan: Plan, event: int, change: AssetMentioned) -> None:
    _mention_asset(plan, event, change.asset_id, change.container)


def _asset_saved(plan: Plan, event: int, change: AssetSaved) -> None:
    _container(plan, event, change.container)
    source = change.copied_from or Copied()
    values = (
        change.asset_id, *place_of(change.container), text_of(change.name), text_of(change.asset_type),
        change.visibility_mode, text_of(change.description), joined_of(change.tags), text_of(change.state),
        text_of(change.owner_id), text_of(change.resource_key), text_of(change.connection_id),
        text_of(change.connection_path), text_of(source.action), text_of(source.asset_id), *place_of(source.container),
        moment_of(change.created_at_us), moment_of(change.updated_at_us),
        text_of(change.updated_by), *_tail(change.version, change.document.text if change.document else None),
    )  # fmt: skip
    _put(plan.assets, change.asset_id, change.version, values, event, change)


def _asset_deleted(plan: Plan, event: int, change: AssetDeleted) -> None:
    _container(plan, event, change.container)
    tail = _tail(change.version, None, deleted=True)
    values = (change.asset_id, *place_of(change.container), *_UNKNOWN_ASSET, *tail)
    _put(plan.assets, change.asset_id, change.version, values, event, change)


def _thing_saved(plan: Plan, event: int, change: ThingSaved) -> None:
    _container(plan, event, change.container)
    values = THINGS[change.kind].row() if change.values is None else change.values
    texts = (text_of(value) if isinstance(value, str) else value for value in values)
    row = (change.thing_id, *place_of(change.container), *texts, *_tail(change.version, change.document.text))
    _put(plan.things.setdefault(change.kind, {}), change.thing_id, change.version, row, event, change)


def _thing_deleted(plan: Plan, event: int, change: ThingDeleted) -> None:
    nothing = THINGS[change.kind].row()
    tail = _tail(change.version, None, deleted=True)
    row = (change.thing_id, *place_of(change.container), *nothing, *tail)
    _put(plan.things.setdefault(change.kind, {}), change.thing_id, change.version, row, event, change)


def _profile_saved(plan: Plan, event: int, change: ProfileSaved) -> None:
    _mention_asset(plan, event, change.asset_id, change.container)
    values = (
        change.profile_id, change.asset_id, *place_of(change.container), text_of(change.status), change.column_count,
        moment_of(change.created_at_us), text_of(change.owner_id), text_of(change.run_id),
        text_of(change.attachment_id), figures_of(change), *_tail(change.version, change.document.text),
    )  # fmt: skip
    _put(plan.data_profiles, change.profile_id, change.version, values, event, change)


#: What PostgreSQL refuses, of what a document may hold: some escapes, and decimals too small for a double (`1E-999`).
_REFUSED = ("\\u", "E-")


def figures_of(change: ProfileSaved) -> str | None:
    """The figures as they are kept: not at all where the view finds them in the document, and can read it."""
    if change.findings.is_usual and not any(odd in change.document.text for odd in _REFUSED):
        return IN_DOCUMENT
    return figures_text(change.findings.figures)


def figures_text(figures: Sequence[ColumnFigures]) -> str | None:
    """Figures of columns as the store keeps them; None where there are none."""
    if not figures:
        return None
    try:
        text = _encoder.encode(figures)
        if b"\\u0000" not in text:
            return text.decode()
    except UnicodeEncodeError:  # half a surrogate pair
        pass
    named = [msgspec.structs.asdict(one) for one in figures]
    clean = [{name: column_text(v) if isinstance(v, str) else v for name, v in one.items()} for one in named]
    return _encoder.encode([{name: v for name, v in one.items() if v is not None} for one in clean]).decode()


def _document_read(plan: Plan, event: int, change: ProfileDocumentRead) -> None:
    plan.documents.append((event, change))


def _profile_mentioned(plan: Plan, event: int, change: ProfileMentioned) -> None:
    _mention_asset(plan, event, change.asset_id, change.container)
    version = _stub(change.container)
    if change.asset_id:  # two mentions that differ in the data set must not depend on their order either
        text = version.digest + change.asset_id.encode("utf-8", "surrogatepass")
        digest = version.digest[:1] + blake2b(text, digest_size=DIGEST_BYTES - 1).digest()
        version = Version(None, Rank.STUB, digest)
    place = place_of(change.container)
    values = (change.profile_id, change.asset_id, *place, *_UNKNOWN_PROFILE, *_tail(version, None))
    _put(plan.data_profiles, change.profile_id, version, values, event, None)


def _profile_deleted(plan: Plan, event: int, change: ProfileDeleted) -> None:
    _mention_asset(plan, event, change.asset_id, change.container)
    values = (
        change.profile_id, change.asset_id, *place_of(change.container), *_UNKNOWN_PROFILE,
        *_tail(change.version, None, deleted=True),
    )  # fmt: skip
    _put(plan.data_profiles, change.profile_id, change.version, values, event, change)


def lineage_values(change: LineageRecorded, *, own: bool) -> tuple[Any, ...]:
    """The row of a lineage event, in the order of the writer's columns."""
    return (
        change.event_id, text_of(change.event_type), column_text(",".join(change.categories)),
        moment_of(change.version.at_us), text_of(change.source_service), text_of(change.user_id), own, change.came_from,
        *_tail(change.version, change.document.text),
    )  # fmt: skip


def edge_values(change: LineageRecorded) -> Iterable[tuple[Any, ...]]:
    """The edge rows of a lineage event, in the order of the writer's columns."""
    for edge in change.edges:
        place = place_of(edge.container)
        texts = (text_of(edge.relation), text_of(edge.asset_type), text_of(edge.name))
        yield (change.event_id, edge.asset_id, edge.role, *texts, *place)


#: Bytes of a column's name as a part of a key.
_NAME_BYTES = 1024


def _lineage_recorded(plan: Plan, event: int, change: LineageRecorded) -> None:
    for edge in change.edges:
        _mention_asset(plan, event, edge.asset_id, edge.container)
    for link in change.links:
        _mention_asset(plan, event, link.other_id, None)
    if change.accumulates:
        plan.added_edges.update(edge_values(change))
        for fact in change.usage:
            _usage_observed(plan, event, fact)
    if change.columns or change.run_facts:
        plan.told.append(change)
    if change.original:
        original_id, document, former = change.original
        at = moment_of(change.version.at_us)
        plan.originals[original_id] = (original_id, change.event_id, at, document.text)
        if change.assertions:
            plan.assertions[original_id] = list(assertion_values(change))
        if change.links:
            plan.links[original_id] = list(link_values(change))
        if former:
            plan.former.setdefault(former, []).append(original_id)
    _put(plan.lineage_events, change.event_id, change.version, lineage_values(change, own=False), event, change)


def assertion_values(change: LineageRecorded) -> Iterable[tuple[Any, ...]]:
    """The rows of what tests found, in the order of the writer's columns."""
    run_id = change.event_id if change.accumulates else None
    at, job = moment_of(change.version.at_us), text_of(change.source_service)
    for one in change.assertions:
        column = None if one.column is None else key_text(one.column, _NAME_BYTES)
        texts = (one.severity, one.expected, one.actual)
        yield (
            one.assertion_id, one.version, one.facet_id, change.event_id, run_id, job,
            text_of(one.namespace), text_of(one.name), one.asset_id, column, text_of(one.assertion),
            text_of(one.test_name), one.success, *map(text_of, texts), at,
        )  # fmt: skip


def link_values(change: LineageRecorded) -> Iterable[tuple[Any, ...]]:
    """The rows of further names of data sets, in the order of the columns of their table."""
    for one in change.links:
        key = one.facet_id, one.version, one.asset_id, one.other_id or ""
        yield (*key, change.event_id, one.is_asset, one.other_is_asset)


def _usage_observed(plan: Plan, event: int, change: UsageObserved) -> None:
    there = plan.facts.get(change.fact_id)
    if there is None or change.version.key > there.version.key:
        plan.facts[change.fact_id] = change
        plan.fact_events[change.fact_id] = event


def fact_values(change: UsageObserved) -> tuple[Any, ...]:
    """The row of a fact, in the order of the writer's columns."""
    return (
        change.fact_id, text_of(change.asset_id), change.user, moment_of(change.at_us), change.number, change.source,
        text_of(change.counter), text_of(change.event_id), change.version.key,
    )  # fmt: skip


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
