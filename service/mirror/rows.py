"""From a change to its rows: pure, no store. Fields are those of the tables (`row_of`).

Of several states of one thing in a batch `service.mirror.planning` takes the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from service.changes import (
    AssetSaved,
    ColumnFigures,
    Container,
    ContainerSaved,
    Copied,
    LineageRecorded,
    ProfileDeleted,
    ProfileMentioned,
    ProfileSaved,
    ThingDeleted,
    ThingSaved,
    UsageObserved,
    Version,
)
from service.mirror.tables import (
    assets,
    containers,
    data_profiles,
    dataset_links,
    lineage_edges,
    lineage_events,
    openlineage_events,
    quality_assertions,
    row_of,
    things,
    usage_facts,
)
from service.text.documents import column_text, key_text
from service.text.times import to_datetime

_encoder = msgspec.json.Encoder()
#: In place of figures: the document tells them. Whoever knows nothing of this finds no columns, and no fault.
IN_DOCUMENT = "[]"

ContainerRow, AssetRow, ProfileRow = map(row_of, (containers, assets, data_profiles))
#: Of what is only referred to, or gone.
ContainerStub, AssetStub, ProfileStub = (row_of(table, partly=True) for table in (containers, assets, data_profiles))
_thing_rows = {kind: row_of(table) for kind, table in things.items()}
LineageRow, EdgeRow, FactRow = map(row_of, (lineage_events, lineage_edges, usage_facts))
OriginalRow, AssertionRow, LinkRow = map(row_of, (openlineage_events, quality_assertions, dataset_links))


def place_of(container: Container | None) -> tuple[str | None, str | None]:
    """Kind and id of a container, where one is known."""
    return (container.kind, container.id) if container else (None, None)


def text_of(value: str | None) -> str | None:
    """A text as every store can hold it, where there is one."""
    if value is None or (value.isascii() and "\x00" not in value):  # as nearly all are
        return value
    return column_text(value)


#: Bytes of a name that is a part of a key, beside an asset's id.
NAME_BYTES = 1024


def name_of(value: str | None) -> str | None:
    """A name as a part of a key, where there is one."""
    return None if value is None else key_text(value, NAME_BYTES)


def joined_of(texts: tuple[str, ...]) -> str | None:
    """Texts as one column holds them."""
    return column_text(",".join(texts)) if texts else None


def moment_of(at_us: int | None) -> datetime | None:
    """A moment as a column holds it, where there is one."""
    return None if at_us is None else to_datetime(at_us)


def state_of(version: Version, document: str | None = None, *, deleted: bool = False) -> dict[str, Any]:
    """What the row of every state says."""
    at = moment_of(version.at_us)
    # A tombstone without a time is a tombstone all the same; the epoch stands for "some time ago".
    gone_at = (at or to_datetime(0)) if deleted else None
    return {"version": version.key, "version_at": at, "deleted_at": gone_at, "document": document}


def container_row(change: ContainerSaved) -> Any:
    """The row of a container."""
    return ContainerRow(
        container_id=change.container.id,
        kind=change.container.kind,
        name=text_of(change.name),
        description=text_of(change.description),
        state=text_of(change.state),
        is_governed=change.is_governed,
        creator_id=text_of(change.creator_id),
        created_at=moment_of(change.created_at_us),
        **state_of(change.version, change.document.text),
    )


def asset_row(change: AssetSaved) -> Any:
    """The row of an asset."""
    source = change.copied_from or Copied()
    (kind, container_id), (source_kind, source_id) = place_of(change.container), place_of(source.container)
    return AssetRow(
        asset_id=change.asset_id,
        container_kind=kind,
        container_id=container_id,
        name=text_of(change.name),
        asset_type=text_of(change.asset_type),
        visibility_mode=change.visibility_mode,
        description=text_of(change.description),
        tags=joined_of(change.tags),
        state=text_of(change.state),
        owner_id=text_of(change.owner_id),
        resource_key=text_of(change.resource_key),
        connection_id=text_of(change.connection_id),
        connection_path=text_of(change.connection_path),
        copy_action=text_of(source.action),
        source_asset_id=text_of(source.asset_id),
        source_container_kind=source_kind,
        source_container_id=source_id,
        created_at=moment_of(change.created_at_us),
        updated_at=moment_of(change.updated_at_us),
        updated_by=text_of(change.updated_by),
        **state_of(change.version, change.document.text if change.document else None),
    )


def profile_row(change: ProfileSaved) -> Any:
    """The row of a profile."""
    kind, container_id = place_of(change.container)
    return ProfileRow(
        profile_id=change.profile_id,
        asset_id=change.asset_id,
        container_kind=kind,
        container_id=container_id,
        status=text_of(change.status),
        column_count=change.column_count,
        created_at=moment_of(change.created_at_us),
        owner_id=text_of(change.owner_id),
        run_id=text_of(change.run_id),
        attachment_id=text_of(change.attachment_id),
        figures=figures_of(change),
        **state_of(change.version, change.document.text),
    )


def _is_refused(document: str) -> bool:
    """Whether it may hold what PostgreSQL refuses: some escapes, and decimals too small for a double (`1E-999`)."""
    return ("\\" in document and "\\u" in document) or "E-" in document  # one character is found much faster


def figures_of(change: ProfileSaved) -> str | None:
    """The figures as they are kept: not at all where the view finds them in the document, and can read it."""
    if change.findings.is_usual and not _is_refused(change.document.text):
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


def thing_row(change: ThingSaved | ThingDeleted, values: Iterable[Any], state: dict[str, Any]) -> Any:
    """The row of a thing, in the order of its table: the fields of its kind, then its place."""
    return _thing_rows[change.kind](change.thing_id, *values, *place_of(change.container), *state.values())


def profile_stub(change: ProfileMentioned | ProfileDeleted, state: dict[str, Any]) -> Any:
    """The row of a profile of which no more is told."""
    kind, container_id = place_of(change.container)
    place = {"container_kind": kind, "container_id": container_id}
    return ProfileStub(change.profile_id, asset_id=change.asset_id, **place, **state)


def lineage_row(change: LineageRecorded, *, own: bool) -> Any:
    """The row of a lineage event."""
    return LineageRow(
        event_id=change.event_id,
        event_type=text_of(change.event_type),
        categories=column_text(",".join(change.categories)),
        event_time=moment_of(change.version.at_us),
        source_service=text_of(change.source_service),
        user_id=text_of(change.user_id),
        own=own,
        came_from=change.came_from,
        **state_of(change.version, change.document.text),
    )


def edge_rows(change: LineageRecorded) -> Iterable[Any]:
    """The edge rows of a lineage event."""
    for edge in change.edges:
        kind, container_id = place_of(edge.container)
        yield EdgeRow(
            event_id=change.event_id,
            asset_id=edge.asset_id,
            role=edge.role,
            relation=text_of(edge.relation),
            asset_type=text_of(edge.asset_type),
            name=text_of(edge.name),
            container_kind=kind,
            container_id=container_id,
        )


def assertion_rows(change: LineageRecorded) -> Iterable[Any]:
    """The rows of what tests found."""
    run_id = change.event_id if change.accumulates else None
    at, job = moment_of(change.version.at_us), text_of(change.source_service)
    for one in change.assertions:
        yield AssertionRow(
            assertion_id=one.assertion_id,
            version=one.version,
            facet_id=one.facet_id,
            event_id=change.event_id,
            run_id=run_id,
            job=job,
            namespace=text_of(one.namespace),
            name=text_of(one.name),
            asset_id=one.asset_id,
            column_name=name_of(one.column),
            assertion=text_of(one.assertion),
            test_name=text_of(one.test_name),
            success=one.success,
            severity=text_of(one.severity),
            expected=text_of(one.expected),
            actual=text_of(one.actual),
            occurred_at=at,
        )


def link_rows(change: LineageRecorded) -> Iterable[Any]:
    """The rows of further names of data sets."""
    for one in change.links:
        yield LinkRow(
            facet_id=one.facet_id,
            version=one.version,
            asset_id=one.asset_id,
            other_id=one.other_id or "",
            event_id=change.event_id,
            is_asset=one.is_asset,
            other_is_asset=one.other_is_asset,
        )


def fact_row(change: UsageObserved) -> Any:
    """The row of a fact."""
    return FactRow(
        fact_id=change.fact_id,
        asset_id=text_of(change.asset_id),
        user_hash=change.user,
        occurred_at=moment_of(change.at_us),
        number=change.number,
        source=change.source,
        counter=text_of(change.counter),
        event_id=text_of(change.event_id),
        version=change.version.key,
    )
