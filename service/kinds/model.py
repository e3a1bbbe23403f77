"""What a kind of thing is: one declaration, of which table, view, documents and reading are made.

A kind is data. What stands in the catalog's JSON is told by places: names joined with dots, alternatives with `|`, the
first that says something counts: `metadata.name|name`. Places that begin with `@` are no names of the catalog:
`@parent` is the id of what an item was listed below, and others are what the kind's `derived` makes of an item.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from service.changes import ContainerKind
from service.text.lookup import Path

FieldType = Literal["text", "integer", "number", "truth", "time"]
#: How a listing goes on, by the word for its style (`service.catalog.styles`); `whole`: it has one page.
Paging = Literal["whole", "bookmark", "bookmark_or_skip", "body", "link", "offset", "next"]

CATALOG: ContainerKind = "catalog"
PROJECT: ContainerKind = "project"
SPACE: ContainerKind = "space"
EVERYWHERE = (CATALOG, PROJECT, SPACE)
#: The place of the id of what an item was listed below.
PARENT = "@parent"

#: Columns that every state has beside its fields: no field may be called so.
_TAKEN = frozenset(
    {
        "container_kind", "container_id", "version", "replaces", "version_at", "deleted_at", "mirrored_at", "mapping",
        "document", "changed_at", "is_stub", "valid_from", "valid_to", "is_exact",
    }
)  # fmt: skip


def places(text: str) -> tuple[Path, ...]:
    """`metadata.name|entity.name` as paths."""
    return tuple(tuple(path.split(".")) for path in text.split("|")) if text else ()


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its name and type, where it stands in the catalog's JSON, and what it means to who reads it."""

    name: str
    type: FieldType
    places: tuple[Path, ...]
    comment: str

    def __post_init__(self) -> None:
        if not self.places or not self.comment or self.name in _TAKEN:
            raise ValueError(f"the field {self.name!r} needs a place, a comment, and a name that is free")

    @property
    def is_parent(self) -> bool:
        """Whether it holds what an item was listed below, which the item need not say itself."""
        return (PARENT,) in self.places


def text(name: str, at: str, comment: str) -> Field:
    """A text; numbers count as text, lists of texts are joined with commas."""
    return Field(name, "text", places(at), comment)


def integer(name: str, at: str, comment: str) -> Field:
    """A whole number of 64 bits."""
    return Field(name, "integer", places(at), comment)


def number(name: str, at: str, comment: str) -> Field:
    """A finite number."""
    return Field(name, "number", places(at), comment)


def truth(name: str, at: str, comment: str) -> Field:
    """True or false."""
    return Field(name, "truth", places(at), comment)


def time(name: str, at: str, comment: str) -> Field:
    """A moment."""
    return Field(name, "time", places(at), comment)


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of a query parameter that a setting of `CATALOG__…` decides: without it the parameter is left out.

    `then` is sent instead of the setting's own value, where it has one.
    """

    name: str
    then: str | None = None


Value = str | int | bool | Setting | None


@dataclass(frozen=True, slots=True)
class Listing:
    """Where and how things are listed, or where one thing is.

    In `path` and in the values of `query`, `{container}` and `{container_id}` stand for where is looked, `{parent}` for
    the id of what is looked below, and `{type}` for the word that `types` has for its type; a container that the path
    does not name is a parameter. Parameters have our names (`service.catalog.names`).
    """

    #: What metrics call it.
    endpoint: str
    path: str
    #: Where the list is; None: the answer is the one item.
    items: str | None = "resources"
    paging: Paging = "whole"
    #: Items asked for on a page; None: the service decides.
    size: int | None = None
    #: What tells how many there are in all.
    total: str | None = None
    #: Where items have further ones below them, which count like those of the list.
    nested: str | None = None
    query: Mapping[str, Value] = field(default_factory=dict)
    #: Asked by POST, with this body where there is one.
    posts: bool = False
    body: Mapping[str, Any] | None = None
    #: Kinds of containers that are asked so; none: all that have the kind.
    within: tuple[ContainerKind, ...] = ()
    #: The parameter after which only what changed since a moment is listed.
    since: str | None = None
    #: Words for types of parents; below a parent of another type there is nothing.
    types: Mapping[str, str] | None = None
    #: What an item lacks that its request told: made of the parent's id.
    adds: Callable[[str], Mapping[str, Any]] | None = None
    #: Where a list is, if the answer is one instead of the one item.
    or_items: str = ""
    #: What cursors call it, where several listings share an endpoint.
    name: str = ""

    @property
    def title(self) -> str:
        """What cursors and messages call it."""
        return self.name or self.endpoint


@dataclass(frozen=True, slots=True)
class Gathering:
    """How things are found of which there is no list: others name them, and many are read at once by their ids.

    What is found names others in turn, until nothing new is named. The kind's one listing is the reading of many.
    """

    #: One that is always there; where it is told, the service is there.
    first: Listing
    #: What global search calls their type.
    searched: str
    #: Kinds and the columns of theirs that name them, in the mirror.
    named_by: tuple[tuple[str, str], ...]
    #: The field in which one names another.
    above: str
    #: The body that asks for those with these ids.
    asks: Callable[[Sequence[str]], Mapping[str, Any]]


Derived = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """One kind of thing.

    A kind with fields is mirrored by them alone. One without has changes and a table of its own (assets, profiles,
    containers, lineage); what is declared here is how it is read.

    Raises:
        ValueError: the declaration contradicts itself.
    """

    name: str
    #: The table; the view is `v1_` and this.
    table: str
    #: The key's column.
    id_name: str
    comment: str
    fields: tuple[Field, ...] = ()
    #: Places of the id; none: it is a digest of `named_by`.
    ids: str = ""
    #: What names it where it has no id of its own.
    named_by: tuple[str, ...] = ()
    #: Its id is one only within its container.
    is_named_within: bool = False
    #: What no place alone reaches, by names that begin with `@`.
    derived: Derived | None = None
    #: The column with the id of the asset that it belongs to: it is shown only while that asset is.
    asset: str | None = None
    #: Columns that people ask for it by.
    indexed: tuple[str, ...] = ()
    #: Columns that its view has not.
    lacks: frozenset[str] = frozenset()
    #: How it is listed, one listing after the other; below each thing of the kind `parent` where there is one.
    listed: tuple[Listing, ...] = ()
    #: How it is found where there is no list of it.
    gathering: Gathering | None = None
    #: What it is listed below, and of which type that is where only those have it.
    parent: str | None = None
    parent_type: str | None = None
    #: Kinds of containers that have it; none: it lives in no container.
    within: tuple[ContainerKind, ...] = ()
    #: How one is read alone, its id standing for `{parent}`; None: its listing is read again.
    alone: Listing | None = None
    #: It is read alone in a way of its own (`service.sync.rereading`).
    is_read_alone: bool = False
    #: The list is a search index: what it lacks, or tells otherwise, has to be read by id.
    lags: bool = False
    #: What a listing lacks is read by id before it counts as gone.
    has_second_witness: bool = False
    #: Below a parent that has none its listing is not there (404), while the parent is.
    is_absent_when_empty: bool = False
    #: Polling follows its changes, so that it need not rotate.
    is_followed: bool = False
    #: Also kept by another way, or too many calls for a run, so that only the rotation reads it.
    only_rotates: bool = False
    #: Topics that hint at a change of it; none of them is documented.
    topics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        if len({*names, self.id_name}) <= len(names):
            raise ValueError(f"the kind {self.name!r} has two columns of one name")
        if self.fields and not (self.ids or self.named_by):
            raise ValueError(f"the kind {self.name!r} has neither an id nor anything that names it")
        if self.asset and self.asset not in {*names, self.id_name, "asset_id"}:
            raise ValueError(f"the kind {self.name!r} has no column {self.asset!r}")
        if any("{parent}" in listing.path for listing in self.listed) and not self.parent:
            raise ValueError(f"the kind {self.name!r} is listed below nothing")

    @cached_property
    def row(self) -> Any:
        """The values of one thing by the names of the fields, a named tuple in their order; all are null by default."""
        names = [field.name for field in self.fields]
        return namedtuple(f"{self.name}_row", names, defaults=(None,) * len(names))

    @cached_property
    def id_places(self) -> tuple[Path, ...]:
        """Where the id stands."""
        return places(self.ids)

    @cached_property
    def name_places(self) -> tuple[tuple[Path, ...], ...]:
        """Where stands what names it."""
        return tuple(map(places, self.named_by))

    @cached_property
    def parent_field(self) -> str | None:
        """The field that holds what an item was listed below."""
        return next((field.name for field in self.fields if field.is_parent), None)

    @property
    def page_size(self) -> int:
        """Items on a full page, for estimates."""
        return next((listing.size for listing in self.listed if listing.size), 200)
