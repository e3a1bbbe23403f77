"""Which change asks for which operations: pure, from what the change or the mirror's row says and what is linked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from service.changes import AssetDeleted, AssetSaved, Change, ProfileSaved, Rank, ThingSaved
from service.targets.pentaho.data_sources import DataSources
from service.targets.pentaho.links import Kind, Link
from service.targets.pentaho.operations import OPERATIONS, Operation, Takes
from service.targets.pentaho.options import Options, Rule
from service.text import documents

#: How the catalog calls the type of its connections.
_CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a change is about, as far as rules care."""

    kind: str
    entity_id: str
    is_deleted: bool = False
    #: Of a profile: that of its run.
    status: str | None = None
    #: The asset of a profile, the list of an item.
    parent: str | None = None
    #: Of an asset: its type.
    asset_type: str | None = None

    @property
    def link_kind(self) -> Kind | None:
        """As what it would be linked, most likely; None: there is no telling."""
        if self.kind == "asset":
            return "connection" if self.asset_type == _CONNECTION else "asset"
        return _LINKED_AS.get(self.kind)


_LINKED_AS: dict[str, Kind] = {
    "data_profile": "asset",
    "enrichment_area": "enrichment_area",
    "asset_list": "list",
    "asset_list_item": "list",
    "quality_check": "rule",
}


class Concern(NamedTuple):
    """A rule that a subject may fall under, and the id whose link decides it."""

    rule: Rule
    kind: Kind
    catalog_id: str


class Wish(NamedTuple):
    """One operation that something asks for; `more` are the other members of its body, as canonical JSON."""

    operation: str
    follows: tuple[str, ...]
    asked_by: str
    more: str
    ids: tuple[str, ...]


def matter_of(change: Change) -> Subject | None:
    """What a change is about; None for what no rule cares for. A deletion that is only hinted at is no deletion."""
    match change:
        case AssetSaved() if change.version.rank is not Rank.STUB:
            return Subject("asset", change.asset_id, asset_type=change.asset_type)
        case AssetDeleted() if not change.hinted:
            return Subject("asset", change.asset_id, is_deleted=True)
        case ProfileSaved():
            return Subject("data_profile", change.profile_id, status=change.status, parent=change.asset_id)
        case ThingSaved(kind="asset_list_item"):
            parent = change.values and change.values.asset_list_id
            return Subject(change.kind, change.thing_id, parent=parent)
        case ThingSaved(kind="enrichment_area" | "asset_list" | "quality_check" | "artifact"):
            return Subject(change.kind, change.thing_id)
    return None


def concerns(subject: Subject, options: Options) -> list[Concern]:
    """The rules that it may fall under, if they are on."""
    return [concern for concern in _concerns(subject, options) if options.rules[concern.rule]]


def _concerns(subject: Subject, options: Options) -> Iterator[Concern]:
    entity_id = subject.entity_id
    match subject.kind:
        case "asset" if subject.is_deleted:
            yield Concern("connection_deleted", "connection", entity_id)
        case _ if subject.is_deleted:
            return
        case "asset":
            yield Concern("connection_saved", "connection", entity_id)
            yield Concern("asset_saved", "asset", entity_id)
            yield Concern("rule_saved", "rule", entity_id)
        case "data_profile" if subject.parent and (subject.status or "").casefold() in options.profile_words:
            yield Concern("profile_finished", "asset", subject.parent)
        case "enrichment_area":
            yield Concern("enrichment_area_saved", "enrichment_area", entity_id)
        case "asset_list":
            yield Concern("list_saved", "list", entity_id)
        case "asset_list_item" if subject.parent:
            yield Concern("list_saved", "list", subject.parent)
        case "quality_check" | "artifact":
            yield Concern("rule_saved", "rule", entity_id)


def wishes(concern: Concern, links: Sequence[Link], options: Options, data_sources: DataSources) -> Iterator[Wish]:
    """What the rule asks for, for these links of its kind and id."""
    for chain in options.rules[concern.rule]:
        operation = OPERATIONS[chain[0]]
        for link in links:
            if not can_be_asked(operation, link, data_sources):
                continue
            more = documents.canonical(more_of(operation, link, options, data_sources)).decode()
            yield Wish(operation.name, chain[1:], concern.rule, more, (link.pentaho_id,))


def can_be_asked(operation: Operation, link: Link, data_sources: DataSources) -> bool:
    """Whether link and settings hold what the operation needs."""
    if operation.name == "business_rule_with_row_counter":
        return bool(link.scope)
    if operation.takes is Takes.DATA_SOURCE and not operation.destroys:
        return link.pentaho_id in data_sources
    return True


def more_of(operation: Operation, link: Link, options: Options, data_sources: DataSources) -> dict[str, Any]:
    """The members of a body besides what it is about; nothing secret."""
    more = dict(options.bodies.get(operation.name, {}))
    if operation.takes is Takes.DATA_SOURCE:
        shown = {} if operation.destroys else data_sources.shown(link.pentaho_id)
        return {**more, **shown, "fqdnId": link.fqdn_id}
    if operation.name == "business_rule_with_row_counter":
        return {**more, "scope": list(link.scope)}
    return more


def next_request(
    before: Mapping[str, Any], done: Operation, operation: Operation, options: Options, data_sources: DataSources
) -> dict[str, Any]:
    """The body of the operation that follows on one that has succeeded: about the same things."""
    ids = done.ids_of(before)
    if operation.takes is Takes.DATA_SOURCE:
        link = Link("connection", "", ids[0], before.get("fqdnId"))
        return operation.request(ids, more_of(operation, link, options, data_sources))
    return operation.request(ids, options.bodies.get(operation.name, {}))
