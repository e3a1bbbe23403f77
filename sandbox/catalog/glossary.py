"""The glossary: terms, classifications, data classes, policies and rules, in versions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.catalog.categories import Categories
from sandbox.catalog.clock import Clock, iso_millis
from sandbox.catalog.generator import TERM_COUNT
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.problems import bad_request, not_found

#: Artifact types by the last word of their paths.
PLURALS = {
    "glossary_terms": "glossary_term",
    "classifications": "classification",
    "data_classes": "data_class",
    "policies": "policy",
    "rules": "rule",
}
#: Types that the list of all artifacts may be asked for; a category is none of them.
LISTED_TYPES = ("all", *PLURALS.values(), "reference_data")
_FURNISHED = (("classification", 8), ("data_class", 12), ("policy", 6), ("rule", 6), ("reference_data", 2))
#: Values of each reference data set that there is from the beginning.
VALUES = 30


@dataclass(slots=True)
class Artifact:
    """One artifact: all its published versions, oldest first."""

    id: str
    type: str
    number: int
    category_id: str
    versions: list[dict[str, Any]] = field(default_factory=list)
    deleted_s: float | None = None

    @property
    def latest(self) -> dict[str, Any]:
        """The version that is published now."""
        return self.versions[-1]


@dataclass(frozen=True, slots=True)
class ArtifactRelationship:
    """Two artifacts that have to do with each other."""

    source: str
    type: str
    target: str
    at_s: float


class Glossary:
    """All artifacts; nothing on the broker tells of them."""

    def __init__(self, ids: Ids, clock: Clock, more: int = 0, values: int = VALUES) -> None:
        """Artifacts as a small company has them, so many `more` terms, and so many `values` in each set of them."""
        self._ids, self._clock = ids, clock
        self._repository = ids.new(Kind.REPOSITORY)
        self.categories = Categories(ids, clock, self._repository)
        self._artifacts: dict[str, Artifact] = {}
        self._relationships: dict[tuple[str, str, str], ArtifactRelationship] = {}
        self._removed: list[tuple[float, dict[str, Any]]] = []
        self._values: dict[str, dict[str, dict[str, Any]]] = {}
        self._furnish(more, values)

    def published(self, artifact_type: str = "all") -> list[Artifact]:
        """Artifacts that are published, in the order they were made."""
        return [one for one in self._artifacts.values() if one.deleted_s is None and artifact_type in ("all", one.type)]

    def deleted(self, artifact_type: str) -> list[Artifact]:
        """Artifacts that were deleted; only the list of data classes shows them."""
        return [one for one in self._artifacts.values() if one.deleted_s is not None and one.type == artifact_type]

    def get(self, artifact_id: str, artifact_type: str = "all") -> Artifact:
        """A published artifact; raises Problem 404."""
        found = self._artifacts.get(artifact_id)
        if found is None or found.deleted_s is not None or artifact_type not in ("all", found.type):
            raise not_found("artifact", artifact_id)
        return found

    def document(self, artifact: Artifact) -> dict[str, Any]:
        """An artifact with the category it is in."""
        latest = artifact.latest
        above = self.categories.relationship(artifact.category_id, latest["metadata"])
        return {**latest, "entity": {**latest["entity"], "parent_category": above}}

    def create(self, artifact_type: str, name: str, description: str = "", category_id: str | None = None) -> str:
        """Make an artifact and publish it; answers its id."""
        artifact_id = self._ids.new(Kind.ARTIFACT)
        where = self.categories.get(category_id or self.categories.uncategorized).id
        self._artifacts[artifact_id] = artifact = Artifact(artifact_id, artifact_type, len(self._artifacts), where)
        self._publish(artifact, {"name": name, "short_description": description, "tags": []}, {})
        return artifact_id

    def patch(
        self,
        artifact_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        tags: list[str] | None = None,
        stewards: list[str] | None = None,
        **entity: Any,
    ) -> str:
        """Change an artifact, which publishes a new version; answers the version's id."""
        artifact = self.get(artifact_id)
        given = {"name": name, "short_description": description, "tags": tags, "steward_ids": stewards}
        before = {key: artifact.latest["metadata"][key] for key in given}
        kept = {key: before[key] if value is None else value for key, value in given.items()}
        self._publish(artifact, kept, entity)
        version_id: str = artifact.latest["metadata"]["version_id"]
        return version_id

    def move(self, artifact_id: str, category_id: str) -> None:
        """Put an artifact into another category, which publishes it anew."""
        self.get(artifact_id).category_id = self.categories.get(category_id).id
        self.patch(artifact_id)

    def delete_category(self, category_id: str) -> None:
        """Delete a category; raises Problem 400 where anything is in it."""
        if any(one.category_id == category_id for one in self.published()):
            raise bad_request("The category is not empty.")
        self.categories.delete(category_id)

    def values(self, set_id: str) -> list[dict[str, Any]]:
        """The values of a reference data set, by code; raises Problem 404."""
        self.get(set_id, "reference_data")
        return sorted(self._values.get(set_id, {}).values(), key=lambda one: str(one["code"]))

    def set_value(self, set_id: str, code: str, value: str) -> None:
        """Add a value, or change one, which publishes the set anew."""
        there = self._values.setdefault(set_id, {})
        known = there.get(code)
        there[code] = {
            "artifact_id": known["artifact_id"] if known else self._ids.new(Kind.ARTIFACT),
            "code": code, "value": value, "description": f"What {code} means.", "has_children": False,
            "revision": str(int(known["revision"]) + 1) if known else "0", "custom_columns_values": [],
        }  # fmt: skip
        self.patch(set_id)

    def remove_value(self, set_id: str, code: str) -> None:
        """Take a value out."""
        self._values[set_id].pop(code, None)
        self.patch(set_id)

    def delete(self, artifact_id: str) -> None:
        """Delete an artifact; cards go on naming it."""
        self.get(artifact_id).deleted_s = self._clock.now()

    def relate(self, source: str, relationship_type: str, target: str) -> None:
        """Relate two artifacts."""
        found = ArtifactRelationship(source, relationship_type, target, self._clock.now())
        self._relationships.setdefault((source, relationship_type, target), found)

    def unrelate(self, source: str, relationship_type: str, target: str) -> None:
        """Take two artifacts apart again; no list tells of it, unless it tells what was deleted since."""
        found = self._relationships.get((source, relationship_type, target))
        if found in self.relationships():
            document = self.relationship_document(found)
            document["metadata"] |= {"state": "DELETED", "modified_at": iso_millis(self._clock.now())}
            self._removed.append((self._clock.now(), document))
        self._relationships.pop((source, relationship_type, target), None)

    def removed_relationships(self, since_s: float) -> list[dict[str, Any]]:
        """Relationships that were taken apart since a moment, as they may be told."""
        return [document for at_s, document in self._removed if at_s >= since_s]

    def relationships(self) -> list[ArtifactRelationship]:
        """Relationships whose ends are published."""
        live = {one.id for one in self.published()}
        return [one for one in self._relationships.values() if one.source in live and one.target in live]

    def relationship_document(self, one: ArtifactRelationship) -> dict[str, Any]:
        """A relationship as the service lists it."""
        source, target = self.get(one.source).latest["metadata"], self.get(one.target).latest["metadata"]
        entity: dict[str, Any] = {"relationship_type": one.type, "reference_copy": False}
        for side, metadata in (("source", source), ("target", target)):
            entity |= {
                f"{side}_id": metadata["artifact_id"],
                f"{side}_global_id": metadata["global_id"],
                f"{side}_type": metadata["artifact_type"],
            }
        at = iso_millis(one.at_s)
        return {
            "metadata": {"artifact_type": "relationship", "created_at": at, "modified_at": at},
            "entity": entity | {"target_name": target["name"]},
        }

    def _publish(self, artifact: Artifact, metadata: dict[str, Any], entity: dict[str, Any]) -> None:
        number = len(artifact.versions)
        now = iso_millis(self._clock.now())
        before = artifact.latest if artifact.versions else {"metadata": {"created_at": now}, "entity": {}}
        told = {
            "artifact_type": artifact.type,
            "artifact_id": artifact.id,
            "version_id": f"{artifact.id}_{number}",
            "source_repository_id": self._repository,
            "source_repository_name": "pocket",
            "global_id": f"{self._repository}_{artifact.id}",
            "effective_start_date": now,
            "created_by": "IBMid-270000ANNA",
            "created_at": before["metadata"]["created_at"],
            "modified_by": "IBMid-270000DANA",
            "modified_at": now,
            "revision": str(number),
            "state": "PUBLISHED",
            "steward_ids": [],
            "steward_group_ids": ["AccessGroupId-stewards"] if artifact.type == "policy" else [],
            "workflow_state": "PUBLISHED",
            "read_only": False,
            "remove_start_date": False,
            "remove_end_date": False,
            **metadata,
        }
        described = {"long_description": metadata["short_description"], "state": "PUBLISHED", "custom_attributes": []}
        locale = {"default_locale_id": "en-US", "reference_copy": False}
        artifact.versions.append({"metadata": told, "entity": before["entity"] | described | locale | entity})

    def _furnish(self, more: int, values: int) -> None:
        """Terms first: generated cards name the first artifacts as terms."""
        terms = [self.create("glossary_term", f"Term {n}", f"What term {n} means.") for n in range(TERM_COUNT)]
        business = self.categories.create("Business", description="What the company speaks of.")
        people = self.categories.create("People", business)
        self.categories.create("Customers", people, "Nothing is in it.")
        self.categories.add_role(business, "IBMid-270000ANNA", "owner")
        self.categories.add_role(people, "AccessGroupId-stewards", "viewer", group=True)
        self.categories.patch(people, stewards=["IBMid-270000EVA"])
        for artifact_type, count in _FURNISHED:
            for number in range(count):
                where = people if number % 2 else business
                self.create(artifact_type, f"{artifact_type.replace('_', ' ').title()} {number}", "", where)
        for number in range(TERM_COUNT, TERM_COUNT + more):
            self.create("glossary_term", f"Term {number}", f"What term {number} means, told in a sentence or two.")
        for one in self.published("reference_data"):
            for number in range(values):
                self._values.setdefault(one.id, {})[f"{number:04d}"] = {
                    "artifact_id": self._ids.new(Kind.ARTIFACT), "code": f"{number:04d}", "value": f"Value {number}",
                    "has_children": False, "revision": "0", "custom_columns_values": [],
                }  # fmt: skip
        for number in range(1, TERM_COUNT, 3):
            self.relate(terms[number], "is_a_type_of", terms[0])
