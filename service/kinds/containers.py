"""Catalogs, projects and spaces, and who may do what in them."""

from __future__ import annotations

from typing import Any

from service.changes import ContainerKind
from service.kinds.model import CATALOG, EVERYWHERE, PROJECT, SPACE, Kind, Listing, Setting, text, time

_MEMBERS = "/v2/{container}s/{container_id}/members"
_ACCOUNT = Setting("bss_account_id")


def _container(listing: Listing) -> Kind:
    return Kind("container", "containers", "container_id", "Catalogs, projects and spaces", listed=(listing,))


#: How the containers of each kind are listed. They come before everything else.
CONTAINERS: dict[ContainerKind, Kind] = {
    CATALOG: _container(Listing(
        "catalogs", "/v2/catalogs", "catalogs", "bookmark_or_skip", 25,
        query={
            "bss_account_id": _ACCOUNT, "include": Setting("bss_account_id", then="catalogs"),
            "subtype": Setting("subtypes"),
        },
    )),
    # The catalog tells 2,000 projects at most.
    PROJECT: _container(Listing(
        "projects", "/v2/projects", "resources", "bookmark", 100, "total_results", query={"bss_account_id": _ACCOUNT}
    )),
    SPACE: _container(Listing("spaces", "/v2/spaces", "resources", "link", 200)),
}  # fmt: skip


def _type_of_member(item: dict[str, Any]) -> dict[str, Any]:
    return {"@type": "group" if item.get("access_group_id") else "user"}


_ID = "user_iam_id|access_group_id|entity.id|id|metadata.id"
MEMBER = Kind(
    "member", "members", "member_id", "Who may do what in a container",
    (
        text("principal_id", _ID, "The user's or the group's id"),
        text("principal_type", "type|entity.type|@type", "user, group or service"),
        text("role", "role|entity.role", "As the catalog words it: admin, editor, viewer"),
        text("state", "state|entity.state", "As the catalog words it, where it says so"),
        time("added_at", "create_time|metadata.created_at", "When the role was given"),
    ),
    ids=_ID, is_named_within=True, derived=_type_of_member, within=EVERYWHERE,
    listed=(
        # Of a catalog's members, groups are hidden until they are asked for.
        *(
            Listing("catalog_members", _MEMBERS, "members", "bookmark", 25, "total_rows", within=(CATALOG,),
                    query={"member_type": of}, name=f"catalog_members of type {of}")
            for of in ("user", "group")
        ),
        Listing("project_members", _MEMBERS, "members", within=(PROJECT,)),
        Listing("space_members", _MEMBERS, "resources", "link", 200, within=(SPACE,)),
    ),
)  # fmt: skip
