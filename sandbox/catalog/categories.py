"""Categories of the glossary: a tree, in which each artifact has its place, and who has which role where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.catalog.clock import Clock, iso_millis
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.problems import Problem, bad_request, not_found

#: The one that is always there, for artifacts that are put into no other.
UNCATEGORIZED = "[uncategorized]"


@dataclass(frozen=True, slots=True)
class Role:
    """What one user or group may do in a category, and so in all below it."""

    id: str
    category_id: str
    principal: str
    user_type: str
    role: str
    since_s: float


@dataclass(slots=True)
class Category:
    """One category."""

    id: str
    name: str
    description: str
    parent: str | None
    created_s: float
    modified_s: float
    revision: int = 0
    stewards: list[str] = field(default_factory=list)
    roles: dict[str, Role] = field(default_factory=dict)


class Categories:
    """All categories; nothing on the broker tells of them, and no list has them."""

    def __init__(self, ids: Ids, clock: Clock, repository: str) -> None:
        self._ids, self._clock, self._repository = ids, clock, repository
        self._categories: dict[str, Category] = {}
        self.uncategorized = self.create(UNCATEGORIZED)

    def all(self) -> list[Category]:
        """Every category, in the order they were made."""
        return list(self._categories.values())

    def known(self, category_id: str) -> bool:
        """Whether it is there."""
        return category_id in self._categories

    def get(self, category_id: str) -> Category:
        """A category; raises Problem 404."""
        found = self._categories.get(category_id)
        if found is None:
            raise not_found("category", category_id)
        return found

    def create(self, name: str, parent: str | None = None, description: str = "") -> str:
        """Make a category; answers its id. Raises Problem 409 where there is one of that name already."""
        if parent is not None:
            self.get(parent)
        if any((one.name, one.parent) == (name, parent) for one in self._categories.values()):
            raise Problem(409, "already_exists", f"There is a category {name!r} there.")
        now = self._clock.now()
        made = Category(self._ids.new(Kind.CATEGORY), name, description, parent, now, now)
        self._categories[made.id] = made
        return made.id

    def patch(self, category_id: str, *, name: str | None = None, stewards: list[str] | None = None) -> None:
        """Change a category."""
        found = self.get(category_id)
        found.name = found.name if name is None else name
        found.stewards = found.stewards if stewards is None else stewards
        self._touch(found)

    def move(self, category_id: str, parent: str | None) -> None:
        """Hang a category elsewhere; raises Problem 400 where that is below itself."""
        found = self.get(category_id)
        if parent is not None and category_id in self.path(parent):
            raise bad_request("A category cannot be below itself.")
        found.parent = parent
        self._touch(found)

    def path(self, category_id: str) -> list[str]:
        """Its id and those of all above it, from the top."""
        found = self.get(category_id)
        return [*(self.path(found.parent) if found.parent else []), category_id]

    def delete(self, category_id: str) -> None:
        """Delete a category; raises Problem 400 where there are others in it."""
        self.get(category_id)
        if category_id == self.uncategorized or any(one.parent == category_id for one in self._categories.values()):
            raise bad_request("The category is not empty.")
        del self._categories[category_id]

    def add_role(self, category_id: str, principal: str, role: str, *, group: bool = False) -> str:
        """Give somebody a role; answers its id."""
        found = self.get(category_id)
        kind = "GROUP" if group else "USER"
        made = Role(self._ids.new(Kind.CATEGORY), category_id, principal, kind, role, self._clock.now())
        found.roles[made.id] = made
        return made.id

    def remove_role(self, category_id: str, role_id: str) -> None:
        """Take a role away."""
        self.get(category_id).roles.pop(role_id, None)

    def _touch(self, category: Category) -> None:
        category.revision += 1
        category.modified_s = self._clock.now()

    def metadata(self, one: Category) -> dict[str, Any]:
        """What all services tell of a category."""
        return {
            "artifact_type": "category", "artifact_id": one.id, "version_id": f"{one.id}_{one.revision}",
            "source_repository_id": self._repository, "source_repository_name": "pocket",
            "global_id": f"{self._repository}_{one.id}",
            "created_by": "IBMid-270000ANNA", "created_at": iso_millis(one.created_s),
            "modified_by": "IBMid-270000DANA", "modified_at": iso_millis(one.modified_s),
            "revision": str(one.revision), "name": one.name, "short_description": one.description,
            "state": "PUBLISHED", "tags": [], "steward_ids": list(one.stewards), "read_only": False,
        }  # fmt: skip

    def document(self, one: Category) -> dict[str, Any]:
        """A category as it is read with others."""
        above = {"parent_category_id": one.parent} if one.parent else {}
        described = {"long_description": one.description, "state": "PUBLISHED", "default_locale_id": "en-US"}
        entity = {**above, "reporting_authorized": False, **described, "reference_copy": False}
        return {"metadata": self.metadata(one), "entity": entity}

    def role_document(self, one: Role) -> dict[str, Any]:
        """A role as it is listed."""
        return {
            "category_artifact_id": one.category_id, "category_name": self.get(one.category_id).name,
            "role": one.role, "principal_id": one.principal, "id": one.id, "user_type": one.user_type,
            "create_time": iso_millis(one.since_s),
        }  # fmt: skip

    def relationship(self, category_id: str, child: dict[str, Any]) -> dict[str, Any]:
        """That an artifact with this metadata is in a category, as the artifact tells it."""
        above = self.get(category_id)
        entity = {
            "parent_id": above.id, "parent_global_id": f"{self._repository}_{above.id}", "parent_name": above.name,
            "parent_enabled": True, "child_id": child["artifact_id"], "child_name": child["name"],
            "relationship_type": "parent_category", "source_type": child["artifact_type"], "target_type": "category",
        }  # fmt: skip
        return {"offset": 0, "limit": 10, "count": 1, "resources": [{"metadata": {}, "entity": entity}]}
