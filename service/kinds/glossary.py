"""The glossary: artifacts, their versions, and what they have to do with each other."""

from __future__ import annotations

from typing import Any

from service.kinds import common
from service.kinds.model import PARENT, Gathering, Kind, Listing, text, time, truth
from service.text import lookup

#: Where the versions of an artifact are, by its type.
VERSIONED = {
    "glossary_term": "glossary_terms",
    "classification": "classifications",
    "data_class": "data_classes",
    "policy": "policies",
    "rule": "rules",
}
#: Types by which one artifact is read (`all` is for listings only); a category is one, and has a kind of its own.
ARTIFACT_TYPES = (*VERSIONED, "reference_data", "category")


def _category(item: dict[str, Any]) -> dict[str, Any]:
    """The category above, as the relationship `parent_category` tells it."""
    parents = lookup.objects(lookup.at(item, ("entity", "parent_category", "resources")))
    return {"@category": lookup.at(parents[0], ("entity", "parent_id")) if parents else None}


_STEWARDS = text(
    "steward_ids", "metadata.steward_ids|entity.steward_ids|steward_ids", "Users who look after it, joined with commas"
)
_STEWARD_GROUPS = text(
    "steward_group_ids", "metadata.steward_group_ids|entity.steward_group_ids|steward_group_ids",
    "Groups who look after it, joined with commas",
)  # fmt: skip

ARTIFACT = Kind(
    "artifact", "artifacts", "artifact_id",
    "Glossary artifacts: terms, classifications, data classes, policies, rules",
    (
        text("artifact_type", "metadata.artifact_type|type|artifact_type",
             "glossary_term, classification, data_class, policy, rule, reference_data"),
        common.name("metadata.name|name"),
        text("global_id", "metadata.global_id|global_id",
             "Repository and artifact id, by which relationships name it"),
        text("version_id", "metadata.version_id|version_id", "The published version"),
        text("state", "metadata.state|entity.state|state|workflow_status", "PUBLISHED, DRAFT"),
        text("short_description", "metadata.short_description|short_description|description", "One sentence"),
        text("long_description", "entity.long_description", "The whole text"),
        text("tags", "metadata.tags|tags", "Joined with commas"),
        text("parent_category_id", "@category|parent_category.artifact_id", "The category it lives in"),
        time("effective_from", "metadata.effective_start_date|effective_start_date", "Start of its validity"),
        time("effective_to", "metadata.effective_end_date|effective_end_date", "End of its validity"),
        common.created("metadata.created_at|created_at"), common.updated("metadata.modified_at|modified_at"),
        text("updated_by", "metadata.modified_by|modified_by", "Who changed it last"),
        _STEWARDS, _STEWARD_GROUPS,
    ),
    ids="metadata.artifact_id|artifact_id", derived=_category, indexed=("name", "parent_category_id"),
    has_second_witness=True, is_read_alone=True,
    # Without a status the catalog lists all drafts.
    listed=(Listing(
        "artifacts", "/v3/governance_artifact_types/all", paging="offset", size=200,
        query={"workflow_status": "published"}, name="artifacts of type all",
    ),),
    topics=("v3.glossary_terms.*.#", "v3.classifications.*.#", "v3.data_classes.*.#", "v3.policies.*.#",
            "v3.rules.*.#"),
)  # fmt: skip

#: The only artifacts that are listed by when they changed; those that are no more with the status `DELETED`.
CHANGED_DATA_CLASSES = Listing(
    "data_classes", "/v3/data_classes", paging="offset", size=1000, since="since"
)  # fmt: skip

ARTIFACT_VERSION = Kind(
    "artifact_version", "artifact_versions", "version_id", "Versions of glossary artifacts",
    (
        text("artifact_id", "metadata.artifact_id", "The artifact"),
        text("artifact_type", "metadata.artifact_type", "As in v1_artifacts"),
        common.name("metadata.name"),
        text("state", "metadata.state|entity.state", "PUBLISHED, DRAFT"),
        text("revision", "metadata.revision", "As the catalog counts"),
        time("effective_from", "metadata.effective_start_date", "Start of its validity"),
        time("effective_to", "metadata.effective_end_date", "End of its validity"),
        common.updated("metadata.modified_at"),
        text("updated_by", "metadata.modified_by", "Who changed it last"),
    ),
    ids="metadata.version_id", parent="artifact", indexed=("artifact_id",),
    listed=(Listing("versions", "/v3/{type}/{parent}/versions", paging="offset", size=200, types=VERSIONED),),
)  # fmt: skip

ARTIFACT_RELATIONSHIP = Kind(
    "artifact_relationship", "artifact_relationships", "artifact_relationship_id",
    "Relationships between glossary artifacts",
    (
        text("relationship_type", "entity.relationship_type|entity.type", "As the catalog words it"),
        text("source_id", "entity.source_id|entity.child_id", "Artifact id"),
        text("source_type", "entity.source_type|entity.child_type", "Type of that artifact"),
        text("target_id", "entity.target_id|entity.parent_id", "Artifact id"),
        text("target_type", "entity.target_type|entity.parent_type", "Type of that artifact"),
        text("target_name", "entity.target_name|entity.parent_name", "Name of that artifact"),
    ),
    ids="metadata.artifact_id|relationship_id",
    named_by=("entity.relationship_type|entity.type", "entity.source_id|entity.child_id",
              "entity.target_id|entity.parent_id"),
    indexed=("source_id", "target_id"), is_followed=True,
    listed=(Listing("artifact_relationships", "/v3/relationships", "relationships", "offset", 200, since="since"),),
)  # fmt: skip

REFERENCE_VALUE = Kind(
    "reference_value", "reference_values", "reference_value_id", "Values of reference data sets",
    (
        text("reference_set_id", PARENT, "The set: an artifact of type reference_data"),
        text("code", "code", "As a text: 0011 is not 11"),
        text("value", "value", "What the code stands for"),
        common.description("description"),
        text("parent_value_id", "parent_value_artifact_id", "The value above it"),
        truth("has_children", "has_children", "There are values below it"),
        text("revision", "revision", "As the catalog counts"),
    ),
    ids="artifact_id", parent="artifact", parent_type="reference_data", indexed=("reference_set_id",),
    # Those of the version that is active now; whether children come flat is not told, so root values are not asked for.
    listed=(Listing("reference_values", "/v4/reference_data_sets/{parent}/versions/ACTIVE/values", "values", "offset",
                    200),),
)  # fmt: skip

PROTECTION_RULE = Kind(
    "protection_rule", "protection_rules", "protection_rule_id", "Data protection rules: who may see what, and how",
    (
        common.name("entity.name|name"), common.description("entity.description|description"),
        text("governance_type", "entity.governance_type_id|governance_type_id", "Access, or another"),
        text("action", "entity.action.name|action.name", "Deny, transform, …"),
        text("subaction", "entity.action.subaction.name|action.subaction.name", "How data is transformed"),
        text("state", "entity.state|state", "draft, active, archived"),
        common.created("metadata.created_at|created_at"), common.updated("metadata.updated_at|updated_at"),
        text("created_by", "metadata.creator|creator", "Who made it"),
    ),
    ids="metadata.guid|metadata.artifact_id|guid",
    listed=(Listing("protection_rules", "/v3/enforcement/rules", paging="offset", size=50),),
)  # fmt: skip

CATEGORY = Kind(
    "category", "categories", "category_id", "Categories of the glossary, one below the other",
    (
        common.name("metadata.name|name"),
        text("global_id", "metadata.global_id|global_id", "Repository and category id"),
        text("parent_category_id", "entity.parent_category_id|parent_category_id|@category|parent_category.artifact_id",
             "The category above it; null: it is at the top"),
        text("state", "metadata.state|entity.state|state", "PUBLISHED, DRAFT"),
        text("short_description", "metadata.short_description|short_description|description", "One sentence"),
        text("long_description", "entity.long_description", "The whole text"),
        text("tags", "metadata.tags|tags", "Joined with commas"),
        _STEWARDS, _STEWARD_GROUPS,
        text("revision", "metadata.revision", "As the catalog counts"),
        common.created("metadata.created_at|created_at"), common.updated("metadata.modified_at|modified_at"),
        text("updated_by", "metadata.modified_by|modified_by", "Who changed it last"),
    ),
    ids="metadata.artifact_id|artifact_id", derived=_category,
    listed=(Listing("categories", "/v3/categories/hierarchy", paging="offset", size=100, posts=True),),
    gathering=Gathering(
        first=Listing("uncategorized", "/v3/categories/uncategorized", None), searched="category",
        named_by=(("artifact", "parent_category_id"), ("category", "category_id"), ("category", "parent_category_id")),
        above="parent_category_id",
        asks=lambda ids: {"resources": [{"artifact_id": one} for one in ids]},
    ),
    topics=("v3.categories.*.#",),
)  # fmt: skip

CATEGORY_MEMBER = Kind(
    "category_member", "category_members", "category_member_id",
    "Who has which role in a category, and so in all below it",
    (
        # Told with every item, so that an inherited role counts where it was given.
        text("category_id", f"category_artifact_id|category_id|{PARENT}", "The category in which the role was given"),
        text("principal_id", "principal_id", "The user's or the group's id"),
        text("principal_type", "user_type|principal_type", "USER, GROUP"),
        text("role", "role", "As the catalog words it: owner, editor, viewer, or a role of your own"),
        time("added_at", "create_time|created_at", "When the role was given"),
    ),
    ids="id", parent="category",
    # Those of the categories above are in it until they are not asked for.
    listed=(Listing("category_members", "/v3/categories/{parent}/collaborators", "collaborators",
                    total="total_results", query={"include_inherited": False}),),
)  # fmt: skip
