"""The vocabulary of the narrow waist: neutral statements about the catalog.

A change knows nothing of the JSON that told it and nothing of the systems that want to hear of it. Handlers make
changes; the mirror and the targets read them. They are structs of msgspec: a dataclass that is frozen, too, sets each
field by a call of its own, and every event makes several.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum, StrEnum
from struct import Struct
from typing import Any, Literal, NamedTuple

import msgspec

from service.text.documents import DIGEST_BYTES, Document, canonical, digest_of

#: Microseconds in a second.
SECOND_US = 1_000_000
_NO_DIGEST = bytes(DIGEST_BYTES)


class Origin(StrEnum):
    """Why we know of a change."""

    LIVE = "live"
    SYNC = "sync"
    REPLAY = "replay"


class Rank(IntEnum):
    """Which of two states of the same moment counts more."""

    STUB = -1
    LISTED = 0
    READ = 1
    EVENT = 2
    DELETED = 3

    @property
    def byte(self) -> bytes:
        """As it stands in a version's key."""
        return bytes((self + 1,))


#: Where a version's key has its rank (a byte, one more than the number), its digest, and the hash of the whole.
RANK_AT, DIGEST_AT, WHOLE_AT = 8, slice(9, 25), slice(25, 41)
#: The same as bytes: 8 of end and time, 1 of rank, 16 of digest, 16 of the hash of the whole.
_KEY = Struct(">QB16s16s")
#: The bit of a version's key that says that its thing has ended: times of the calendar's years use 58 and a sign.
_ENDED_BIT = 60


class Version(msgspec.Struct, frozen=True):
    """How new a state is; the highest wins, whatever the order of arrival.

    `at_us` is the moment on the catalog's clock in microseconds since 1970 (UTC), None for "no time", which is older
    than every time. `digest` is over the state without volatile fields, `whole` over all of it; they only break ties,
    but break them the same way everywhere.
    """

    at_us: int | None
    rank: Rank
    digest: bytes = _NO_DIGEST
    whole: bytes = _NO_DIGEST
    #: What this is a state of has ended with it: no clock makes anything newer than that but another end.
    ended: bool = False

    @property
    def key(self) -> bytes:
        """The version as bytes that sort as versions do."""
        at = 0 if self.at_us is None else self.at_us + (1 << 63) + (self.ended << _ENDED_BIT)
        return _KEY.pack(at, self.rank + 1, self.digest, self.whole)

    @classmethod
    def from_key(cls, key: bytes) -> Version:
        """The version that a stored key stands for."""
        at = int.from_bytes(key[:8], "big")
        ended = at - (1 << 63) >= 1 << (_ENDED_BIT - 1)
        at_us = at - (1 << 63) - (ended << _ENDED_BIT) if at else None
        return cls(at_us, Rank(key[RANK_AT] - 1), key[DIGEST_AT], key[WHOLE_AT], ended)

    def ties_with(self, other: Version) -> bool:
        """Whether both are states of the same second and differ, so that only the catalog knows which came last."""
        if self.rank is Rank.STUB or other.rank is Rank.STUB or self.digest == other.digest:
            return False
        if self.at_us is None or other.at_us is None:
            return True
        return self.at_us // SECOND_US == other.at_us // SECOND_US


ContainerKind = Literal["catalog", "project", "space"]


class Container(msgspec.Struct, frozen=True):
    """Where an asset lives: a catalog, a project or a space."""

    kind: ContainerKind
    id: str


class ContainerSaved(msgspec.Struct, frozen=True):
    """The catalog holds this state of a container; `state` is `active`, or why its content cannot be read."""

    container: Container
    version: Version
    document: Document
    name: str | None = None
    description: str | None = None
    state: str | None = None
    is_governed: bool | None = None
    creator_id: str | None = None
    created_at_us: int | None = None


class ContainerDeleted(msgspec.Struct, frozen=True):
    """A container is gone, and with it everything in it (the views see to that)."""

    container: Container
    version: Version


class AssetColumn(NamedTuple):
    """One column of a data asset; its name is its key."""

    name: str
    position: int | None = None
    data_type: str | None = None
    native_type: str | None = None
    length: int | None = None
    scale: int | None = None
    nullable: bool | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    data_class_id: str | None = None
    data_class: str | None = None
    quality_score: float | None = None


class TermAssigned(NamedTuple):
    """A business term on an asset or, where `column` says so, on a column of it."""

    term_id: str
    name: str | None = None
    #: Empty for the asset itself.
    column: str = ""
    #: assigned, suggested or rejected
    standing: str = "assigned"
    confidence: float | None = None


class Classified(msgspec.Struct, frozen=True):
    """A classification of an asset or, where `column` says so, of a column of it.

    `standing` is `manual`, or `profiled` where a profile found it.
    """

    classification_id: str
    name: str | None = None
    global_id: str | None = None
    standing: str = "manual"
    #: Empty for the asset itself.
    column: str = ""


class ConnectionDetails(msgspec.Struct, frozen=True):
    """Where a connection leads: what an allow-list lets through, never a secret."""

    datasource_type: str | None = None
    context: str | None = None
    host: str | None = None
    port: str | None = None
    database: str | None = None
    bucket: str | None = None
    flags: tuple[str, ...] = ()


class AttributeLeaf(NamedTuple):
    """A value in an attribute of an asset, and where it stands; without a value it stands for all that follow."""

    attribute: str
    path: str
    value: str | float | Decimal | bool | None


class Attached(NamedTuple):
    """An attachment of an asset; `kind` is remote, referenced or managed."""

    attachment_id: str | None
    asset_type: str | None = None
    name: str | None = None
    mime: str | None = None
    size: int | None = None
    kind: str | None = None
    connection_id: str | None = None
    connection_path: str | None = None
    created_at_us: int | None = None


class Copied(msgspec.Struct, frozen=True):
    """Where an asset was copied from: by clone, publish, promote or deep copy."""

    action: str | None = None
    asset_id: str | None = None
    container: Container | None = None


class AssetSaved(msgspec.Struct, frozen=True):
    """The catalog holds this state of an asset.

    `columns` and all that follows are what the state says of them, all of it: what an older state said is replaced.
    """

    asset_id: str
    version: Version
    document: Document | None
    container: Container | None = None
    name: str | None = None
    asset_type: str | None = None
    visibility_mode: int | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    state: str | None = None
    owner_id: str | None = None
    resource_key: str | None = None
    connection_id: str | None = None
    connection_path: str | None = None
    copied_from: Copied | None = None
    created_at_us: int | None = None
    updated_at_us: int | None = None
    updated_by: str | None = None
    columns: tuple[AssetColumn, ...] = ()
    terms: tuple[TermAssigned, ...] = ()
    classifications: tuple[Classified, ...] = ()
    connection: ConnectionDetails | None = None
    attributes: tuple[AttributeLeaf, ...] = ()
    attachments: tuple[Attached, ...] = ()


class AssetMentioned(msgspec.Struct, frozen=True):
    """An asset is referred to; nothing is known of it but where it lives."""

    asset_id: str
    container: Container | None = None


class AssetDeleted(msgspec.Struct, frozen=True):
    """The catalog deleted an asset; `hinted` where only a hint says so (no lineage answers a hint).

    `found` says that a reading did not find it, rather than that an event told so.
    """

    asset_id: str
    version: Version
    container: Container | None = None
    hinted: bool = False
    found: bool = False


class AssetDeletionHinted(msgspec.Struct, frozen=True):
    """Something says that an asset may have been deleted: to be verified where a catalog can be asked."""

    asset_id: str
    at_us: int | None


class ClassCandidate(NamedTuple):
    """A data class that profiling found for a column; `chosen` is the one that the column has now."""

    column: str
    code: str
    name: str | None = None
    confidence: float | None = None
    priority: int | None = None
    chosen: bool = False


class ColumnFigures(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a profile found of one column; its JSON is what the store keeps. Counts are of rows.

    `unread` names what was told but is no such number; `values_hidden` says that settings blanked values of the table.
    """

    column_name: str
    position: int
    inferred_type: str | None = None
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    row_count: int | None = None
    distinct_count: int | None = None
    null_count: int | None = None
    empty_count: int | None = None
    unique_count: int | None = None
    min_number: float | None = None
    max_number: float | None = None
    min_text: str | None = None
    max_text: str | None = None
    mean: float | None = None
    stddev: float | None = None
    max_frequency: int | None = None
    data_class_code: str | None = None
    data_class: str | None = None
    confidence: float | None = None
    quality_score: float | None = None
    values_hidden: bool | None = None
    unread: str | None = None


class Findings(NamedTuple):
    """What a profile, or its document, found of the columns of a data asset.

    `is_usual` says that all of it was told as most is, so that SQL finds it in what was told.
    """

    figures: tuple[ColumnFigures, ...] = ()
    classes: tuple[ClassCandidate, ...] = ()
    is_usual: bool = False


NO_FINDINGS = Findings()


class ProfileSaved(msgspec.Struct, frozen=True):
    """The catalog holds this state of a data profile.

    `asset_id` is the data set that was profiled, not the profile (docs/contract.md, "Data profile messages").
    `is_new` says that the event is about a profile's creation, not its update; `findings` are those that the
    state itself carries.
    """

    profile_id: str
    version: Version
    document: Document
    asset_id: str | None = None
    container: Container | None = None
    status: str | None = None
    created_at_us: int | None = None
    owner_id: str | None = None
    column_count: int | None = None
    is_new: bool = False
    #: The run whose figures these are; None: no run is told.
    run_id: str | None = None
    #: The attachment of the data set that holds the profile's own document, once there is one.
    attachment_id: str | None = None
    findings: Findings = NO_FINDINGS


class ProfileDocumentRead(msgspec.Struct, frozen=True):
    """The document of a profile was read from the attachment that holds it; `problem` says why it could not be.

    `at_us` is when the attachment was made: as the run that it tells of ended.
    """

    profile_id: str
    attachment_id: str
    container: Container | None = None
    at_us: int | None = None
    findings: Findings = NO_FINDINGS
    problem: str | None = None


class DriftFound(msgspec.Struct, frozen=True):
    """From one run of profiling to the next something changed by more than settings let pass.

    `change` is added, gone, retyped, reclassified, nulls, distinct or rows; numbers are ratios, or rows where `column`
    is empty: the table as a whole.
    """

    asset_id: str
    column: str
    change: str
    version: Version
    container: Container | None
    profile_id: str
    run_id: str
    before_at_us: int
    after_at_us: int
    before_text: str | None = None
    after_text: str | None = None
    before_number: float | None = None
    after_number: float | None = None


class ProfileMentioned(msgspec.Struct, frozen=True):
    """A profile is referred to by an event that does not carry its state."""

    profile_id: str
    asset_id: str | None = None
    container: Container | None = None


class ProfileDeleted(msgspec.Struct, frozen=True):
    """The catalog deleted a data profile; `found` as in `AssetDeleted`."""

    profile_id: str
    version: Version
    asset_id: str | None = None
    container: Container | None = None
    found: bool = False


class ThingSaved(msgspec.Struct, frozen=True):
    """The catalog holds this state of a thing of one of the `service.kinds`; `values` by the names of its fields."""

    kind: str
    thing_id: str
    version: Version
    document: Document
    #: A `Kind.row`; None: nothing of it is known but its document.
    values: Any = None
    container: Container | None = None


class ThingDeleted(msgspec.Struct, frozen=True):
    """The catalog no longer holds a thing of one of the `service.kinds`."""

    kind: str
    thing_id: str
    version: Version
    container: Container | None = None


Role = Literal["uses", "generates"]


class LineageEdge(msgspec.Struct, frozen=True):
    """One asset that a lineage event used or generated."""

    asset_id: str
    role: Role
    relation: str | None = None
    asset_type: str | None = None
    name: str | None = None
    container: Container | None = None


#: Where lineage that the catalog itself told comes from, over its broker or its API.
CATALOG = "catalog"


class Original(NamedTuple):
    """An OpenLineage event as its producer sent it; OpenLineage backends are told this, not our translation."""

    openlineage_id: str
    document: Document
    #: The id that the version before would have kept it by: where it did, the event is there already.
    former_id: str | None = None


Source = Literal["lineage", "statistic", "import"]


class UsageObserved(msgspec.Struct, frozen=True):
    """Somebody used an asset: who, what, when; a fact whose id is the same however often it is told.

    `user` is a hash, None where nobody says who. With a `counter` the fact is a reading of it: it stood at `number`
    then, and what counts is by how much it grew since the reading before.
    """

    fact_id: str
    asset_id: str
    at_us: int
    source: Source
    user: str | None = None
    number: int = 1
    counter: str | None = None
    #: The lineage event that tells it, where one does: the fact goes with what that event says.
    event_id: str | None = None

    @property
    def version(self) -> Version:
        """Which of two facts with one id counts: the later one, then as all versions do."""
        told = canonical([self.asset_id, self.user, self.number])
        return Version(self.at_us, Rank.EVENT, digest_of(told))


class AssertionMade(NamedTuple):
    """What a test found of a data set, or of a column of it; without `assertion`: that a facet tells of none.

    `facet_id` is the data set in its run: of what is told of it the highest `version` counts, and replaces the rest.
    """

    assertion_id: str
    facet_id: str
    version: bytes
    namespace: str
    name: str
    asset_id: str
    column: str | None = None
    assertion: str | None = None
    test_name: str | None = None
    success: bool | None = None
    severity: str | None = None
    expected: str | None = None
    actual: str | None = None


class DatasetLinked(NamedTuple):
    """A data set has a further name; without `other_id`: that a facet tells of none.

    `facet_id` is the data set in its run: of what is told of it the highest `version` counts, and replaces the rest.
    Both ids are such as edges have; one that `is_asset` is an asset of the catalog, whose id is what people know.
    """

    facet_id: str
    version: bytes
    asset_id: str
    is_asset: bool = False
    other_id: str | None = None
    other_is_asset: bool = False


class ColumnEdge(NamedTuple):
    """One column that another one was made of, or, with an empty `to_column`, that decided about its whole data set.

    The keys are what names are compared by (`openlineage.spelling.column_key`).
    """

    from_asset: str
    from_column: str
    from_key: str
    to_column: str
    to_key: str
    #: Its value went into the other's; else it decided about it: a filter, a join, an order.
    is_direct: bool
    #: As it was told: IDENTITY, AGGREGATION, FILTER, …
    transformation: str | None = None
    description: str | None = None
    masking: bool | None = None


class ColumnsTold(NamedTuple):
    """What one facet says the columns of a data set were made of.

    `facet_id` is the data set in its run: of what is told of it the highest `version` counts. `flow_id` is made of the
    edges, so runs that tell the same share them.
    """

    facet_id: str
    version: bytes
    flow_id: str
    to_asset: str
    edges: tuple[ColumnEdge, ...]


class RunFact(NamedTuple):
    """One thing that an event tells of its run; of each `fact` the highest `version` counts.

    `fact` is `job`, `start`, `end`, `parent`, `nominal` or `error`; the others are what it is.
    """

    fact: str
    version: bytes
    at_us: int | None = None
    until_us: int | None = None
    run_id: str | None = None
    job_namespace: str | None = None
    job_name: str | None = None
    root_run_id: str | None = None
    root_job_namespace: str | None = None
    root_job_name: str | None = None
    text: str | None = None


class LineageRecorded(msgspec.Struct, frozen=True):
    """A lineage event: what was made out of what, when, and who says so.

    A run that several events tell of is one lineage event: `accumulates` says that edges add up instead of being
    replaced, and `is_complete` that the run has come to its end, so that who takes one event per run may be told.
    """

    event_id: str
    version: Version
    document: Document
    event_type: str | None = None
    categories: tuple[str, ...] = ()
    source_service: str | None = None
    user_id: str | None = None
    edges: tuple[LineageEdge, ...] = ()
    #: `CATALOG`, or who sent it over HTTP: it is not sent there again. None: we made it.
    came_from: str | None = None
    accumulates: bool = False
    is_complete: bool = True
    original: Original | None = None
    #: Uses of assets that it tells of, where settings count it as such.
    usage: tuple[UsageObserved, ...] = ()
    #: What tests found, as the original tells it.
    assertions: tuple[AssertionMade, ...] = ()
    #: What the original tells of columns, and of its run.
    columns: tuple[ColumnsTold, ...] = ()
    run_facts: tuple[RunFact, ...] = ()
    #: Further names of its data sets, as the original tells them.
    links: tuple[DatasetLinked, ...] = ()


class RefreshAsked(msgspec.Struct, frozen=True):
    """Something may have changed; it is to be read again, `delay_s` seconds from now at the earliest.

    `origin` is that of what asked: what is read for an event, or for polling, counts as live.
    """

    kind: str
    entity_id: str
    container: Container | None = None
    reason: str = "event"
    delay_s: float = 0.0
    origin: Origin = Origin.LIVE


Change = (
    ContainerSaved
    | ContainerDeleted
    | AssetSaved
    | AssetMentioned
    | AssetDeleted
    | AssetDeletionHinted
    | ProfileSaved
    | ProfileDocumentRead
    | DriftFound
    | ProfileMentioned
    | ProfileDeleted
    | ThingSaved
    | ThingDeleted
    | LineageRecorded
    | UsageObserved
    | RefreshAsked
)


#: What says which thing a change is about, by its type: asked more than once an event, so types are not tried in turn.
_ABOUT: dict[type, Callable[[Any], tuple[str, str]]] = {
    **dict.fromkeys((ContainerSaved, ContainerDeleted), lambda change: ("container", change.container.id)),
    **dict.fromkeys(
        (AssetSaved, AssetDeleted, AssetMentioned, AssetDeletionHinted), lambda change: ("asset", change.asset_id)
    ),
    **dict.fromkeys(
        (ProfileSaved, ProfileDeleted, ProfileMentioned, ProfileDocumentRead),
        lambda change: ("data_profile", change.profile_id),
    ),
    DriftFound: lambda change: ("profile_drift", f"{change.asset_id}/{change.change}/{change.column}"[:1024]),
    **dict.fromkeys((ThingSaved, ThingDeleted), lambda change: (change.kind, change.thing_id)),
    LineageRecorded: lambda change: ("lineage", change.event_id),
    UsageObserved: lambda change: ("usage", change.fact_id),
    RefreshAsked: lambda change: (change.kind, change.entity_id),
}


def entity_of(change: Change) -> tuple[str, str]:
    """Kind and id of what a change of state is about."""
    return _ABOUT[type(change)](change)


def was_read(change: Change) -> bool:
    """Whether we know of this change by reading: the same may be read many times, so only its effect counts."""
    if isinstance(change, AssetDeleted | ProfileDeleted):
        return change.found
    return isinstance(change, AssetSaved | ProfileSaved) and change.version.rank is not Rank.EVENT
