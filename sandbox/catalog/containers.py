"""Catalogs, projects and spaces; who is a member; and what the mirror's user may still read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

from sandbox.catalog.clock import Clock
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.problems import Problem, forbidden, not_found

ContainerKind = Literal["catalog", "project", "space"]
CONTAINER_KINDS: tuple[ContainerKind, ...] = get_args(ContainerKind)
#: The user that the mirror signs in as.
CALLER = "iam-ServiceId-0000-mirror"
#: The single account of an installation on premises.
ACCOUNT = "999"
#: Where the generated things of the catalog begin: everything generated happened after it.
GENERATED_SINCE_S = 1_609_459_200.0
ROLES = ("admin", "editor", "viewer")


@dataclass(frozen=True, slots=True)
class Member:
    """A user or a group of users in a container."""

    principal: str
    kind: Literal["user", "group"]
    role: str
    since_s: float


@dataclass(slots=True)
class Container:
    """A catalog, a project or a space."""

    id: str
    kind: ContainerKind
    name: str
    description: str
    created_s: float
    updated_s: float
    #: The catalog that a project or a space keeps its assets in; never listed.
    private_catalog_id: str | None
    is_governed: bool = False
    #: Of a catalog: lists are without those that have one, until it is asked for.
    subtype: str | None = None
    archived: bool = False
    deleted: bool = False
    #: What the mirror's user may do here; None is nothing, not even see it.
    caller_role: str | None = "viewer"
    members: dict[str, Member] = field(default_factory=dict)

    @property
    def readable(self) -> bool:
        """Whether the mirror's user may read what is in it."""
        return not self.deleted and not self.archived and self.caller_role is not None

    @property
    def listed(self) -> bool:
        """Whether it is in the lists that the mirror's user gets; an archived one stays in them (assumed)."""
        return not self.deleted and self.caller_role is not None


class Containers:
    """All containers, in the order they were made."""

    def __init__(self, ids: Ids, clock: Clock, knobs: Knobs) -> None:
        self._ids, self._clock, self._knobs = ids, clock, knobs
        self._all: dict[str, Container] = {}

    def __iter__(self) -> Iterator[Container]:
        return iter(self._all.values())

    def of_kind(self, kind: ContainerKind) -> list[Container]:
        """Those that the mirror's user gets to see."""
        return [container for container in self if container.kind == kind and container.listed]

    def get(self, container_id: str) -> Container:
        """One that exists; raises KeyError."""
        return self._all[container_id]

    def seen(self, kind: ContainerKind, container_id: str) -> Container:
        """The container itself, for the mirror's user; raises Problem."""
        container = self._all.get(container_id)
        if container is None or container.kind != kind or container.deleted:
            raise not_found(kind, container_id)
        if container.caller_role is None:
            raise forbidden(f"{kind} '{container_id}'")
        return container

    def opened(self, kind: ContainerKind, container_id: str) -> Container:
        """The container for reading what is in it; raises Problem, also when it is archived."""
        container = self.seen(kind, container_id)
        if container.archived:
            raise Problem(self._knobs.archived_status, "archived", f"The {kind} '{container_id}' is archived.")
        return container

    def create(self, kind: ContainerKind, name: str, description: str = "") -> str:
        """Make an empty container and answer its id."""
        at_s = self._clock.now()
        container_id = self._ids.new(Kind.CONTAINER)
        private = None if kind == "catalog" else self._ids.new(Kind.PRIVATE_CATALOG)
        self._all[container_id] = container = Container(container_id, kind, name, description, at_s, at_s, private)
        container.members[CALLER] = Member(CALLER, "user", "viewer", at_s)
        return container_id

    def rename(self, container_id: str, name: str, description: str | None = None) -> None:
        """Change name, and description where given."""
        container = self.get(container_id)
        container.name, container.updated_s = name, self._clock.now()
        if description is not None:
            container.description = description

    def delete(self, container_id: str) -> None:
        """Remove it with everything in it; no event tells of what was in it."""
        self.get(container_id).deleted = True

    def archive(self, container_id: str) -> None:
        """Make what is in it unreadable; nothing is deleted."""
        self.get(container_id).archived = True

    def restore(self, container_id: str) -> None:
        """Make an archived one readable again."""
        self.get(container_id).archived = False

    def set_caller_role(self, container_id: str, role: str | None) -> None:
        """Give the mirror's user a role, or take it away."""
        container = self.get(container_id)
        container.caller_role = role
        if role is None:
            container.members.pop(CALLER, None)
        else:
            container.members[CALLER] = Member(CALLER, "user", role, self._clock.now())

    def add_member(self, container_id: str, principal: str, role: str, *, group: bool = False) -> None:
        """Add a user or a group, or change its role."""
        kind: Literal["user", "group"] = "group" if group else "user"
        members = self.get(container_id).members
        since_s = members[principal].since_s if principal in members else self._clock.now()
        members[principal] = Member(principal, kind, role, since_s)

    def remove_member(self, container_id: str, principal: str) -> None:
        """Remove a user or a group that may be there."""
        self.get(container_id).members.pop(principal, None)
