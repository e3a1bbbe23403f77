"""Catalogs, projects and spaces over HTTP, and their members: each kind in a shape and with pages of its own."""

from __future__ import annotations

from typing import Any

from sandbox.catalog.calls import Answer, Call
from sandbox.catalog.clock import iso_millis, iso_seconds
from sandbox.catalog.containers import ACCOUNT, Container, ContainerKind, Member
from sandbox.catalog.paging import bookmarked, page_after, started

#: Projects that a list gives out in all.
_PROJECTS_IN_ALL = 2000
_CREATOR = "IBMid-270000ANNA"


def list_catalogs(call: Call) -> Answer:
    """`GET /v2/catalogs`: `nextBookmark` is there on every page, also on an empty one; no subtype is told."""
    limit, skip = call.number("limit", 25), call.number("skip", 0, low=0, high=1_000_000)
    asked = [word.strip() for word in (call.text("subtype") or "NO_SUBTYPES").split(",")]
    catalogs = [numbered for numbered in _numbered(call, "catalog") if _is_asked_for(numbered[1].subtype, asked)]
    token = call.token("bookmark")
    page = page_after(catalogs[skip:] if token is None else catalogs, _number, token, limit)
    documents = [_catalog(container, call) for _, container in page.items]
    following = page.token or token or "end"
    return Answer({"catalogs": documents, "nextBookmark": following, "nextSkip": skip + len(documents)})


def _is_asked_for(subtype: str | None, asked: list[str]) -> bool:
    return "NO_SUBTYPES" in asked if subtype is None else bool({"ALL_SUBTYPES", subtype} & set(asked))


def get_catalog(call: Call) -> Answer:
    """`GET /v2/catalogs/{id}`."""
    return Answer(_catalog(call.catalog.containers.seen("catalog", call.word("id")), call))


def list_projects(call: Call) -> Answer:
    """`GET /v2/projects`: at most 2,000 in all."""
    limit = call.number("limit", 10, low=0, high=100)
    projects = _numbered(call, "project")[:_PROJECTS_IN_ALL]
    page = page_after(projects, _number, call.token("bookmark"), limit)
    resources = [_project(container, call) for _, container in page.items]
    return Answer({"total_results": len(projects), "resources": resources} | bookmarked(call, "bookmark", page))


def get_project(call: Call) -> Answer:
    """`GET /v2/projects/{id}`."""
    return Answer(_project(call.catalog.containers.seen("project", call.word("id")), call))


def list_spaces(call: Call) -> Answer:
    """`GET /v2/spaces`: by start token."""
    spaces, links = started(call, _numbered(call, "space"), _number, call.number("limit", 100))
    return Answer({"resources": [_space(container) for _, container in spaces]} | links)


def get_space(call: Call) -> Answer:
    """`GET /v2/spaces/{id}`."""
    return Answer(_space(call.catalog.containers.seen("space", call.word("id"))))


def list_catalog_members(call: Call) -> Answer:
    """`GET /v2/catalogs/{id}/members`: groups are shown only where they are asked for."""
    container = call.catalog.containers.opened("catalog", call.word("id"))
    kind = call.choice("member_type", "user", ("user", "group"))
    members = [member for member in _members(container) if member.kind == kind]
    page = page_after(members, _principal, call.token("bookmark"), call.number("limit", 25))
    shown = [_catalog_member(member) for member in page.items]
    total, name = ("total_results", "nextBookmark")
    if call.catalog.knobs.forms.members_as_others:
        total, name = ("total_rows", "bookmark")
    return Answer({"members": shown, total: len(members)} | bookmarked(call, name, page))


def list_project_members(call: Call) -> Answer:
    """`GET /v2/projects/{id}/members`: all at once."""
    container = call.catalog.containers.opened("project", call.word("id"))
    return Answer({"members": [_member(member) | {"user_name": member.principal} for member in _members(container)]})


def list_space_members(call: Call) -> Answer:
    """`GET /v2/spaces/{id}/members`: by start token."""
    container = call.catalog.containers.opened("space", call.word("id"))
    members, links = started(call, _members(container), _principal, call.number("limit", 100))
    shown = [{"metadata": {"id": member.principal}, "entity": _member(member)} for member in members]
    return Answer({"resources": shown} | links)


def _numbered(call: Call, kind: ContainerKind) -> list[tuple[int, Container]]:
    """Containers with their number in the order they were made, which deletions do not change."""
    everything = (one for one in call.catalog.containers if one.kind == kind)
    return [(number, one) for number, one in enumerate(everything) if one.listed]


def _number(numbered: tuple[int, Container]) -> tuple[int]:
    return (numbered[0],)


def _members(container: Container) -> list[Member]:
    return list(container.members.values())


def _principal(member: Member) -> tuple[str]:
    return (member.principal,)


def _catalog(container: Container, call: Call) -> dict[str, Any]:
    url = f"{call.base}/v2/catalogs/{container.id}"
    created_at = iso_seconds(container.created_s)
    return {
        "metadata": {"guid": container.id, "url": url, "creator_id": _CREATOR, "create_time": created_at},
        "entity": {
            "name": container.name,
            "description": container.description,
            "generator": "Pocket-Catalog",
            "bss_account_id": ACCOUNT,
            "capacity_limit": 0,
            "is_governed": container.is_governed,
        },
        "href": url,
    }


def _project(container: Container, call: Call) -> dict[str, Any]:
    return {
        "metadata": {
            "guid": container.id,
            "url": f"{call.base}/v2/projects/{container.id}",
            "created_at": iso_millis(container.created_s),
            "updated_at": iso_millis(container.updated_s),
        },
        "entity": {
            "name": container.name,
            "description": container.description,
            "creator": "anna@example.com",
            "scope": {"bss_account_id": ACCOUNT},
        },
    }


def _space(container: Container) -> dict[str, Any]:
    return {
        "metadata": {"id": container.id, "created_at": iso_millis(container.created_s), "creator_id": _CREATOR},
        "entity": {"name": container.name, "description": container.description, "status": {"state": "active"}},
    }


def _catalog_member(member: Member) -> dict[str, Any]:
    key = "user_iam_id" if member.kind == "user" else "access_group_id"
    since = iso_seconds(member.since_s)
    return {key: member.principal, "role": member.role, "create_time": since, "creator_id": _CREATOR}


def _member(member: Member) -> dict[str, Any]:
    return {"id": member.principal, "role": member.role, "type": member.kind, "state": "ACTIVE"}
