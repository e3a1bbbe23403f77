"""Whether Collibra knows what the mapping names, asked over its Core API; for `doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.targets.collibra_assets.imports import Imports
from service.targets.collibra_assets.mapping import AssetMapping, Domain, is_uuid

#: How each kind of thing that a mapping names is called, and where Collibra lists it.
_ASSET_TYPE, _ATTRIBUTE_TYPE, _STATUS = (
    ("asset type", "assetTypes"),
    ("attribute type", "attributeTypes"),
    ("status", "statuses"),
)
_RELATION_TYPE, _ROLE = ("relation type", "relationTypes"), ("role", "roles")
_USER, _GROUP = ("user", "users"), ("group of users", "userGroups")
#: Things that are asked for at most: a mapping may name thousands of domains.
MAX_ASKED = 1000


async def faults(imports: Imports, mapping: AssetMapping) -> list[str]:
    """What the mapping names and Collibra does not know, a sentence each.

    Raises:
        TargetUnavailable: it cannot be asked now.
    """
    found = []
    for place, (what, path), text in list(_named(mapping))[:MAX_ASKED]:
        if not await _is_there(imports, path, text):
            found.append(f"{place}: Collibra has no {what} {text!r}.")
    for place, domain in list(_domains(mapping))[:MAX_ASKED]:
        if problem := await _domain_fault(imports, domain):
            found.append(f"{place}: {problem}.")
    return found


def _named(mapping: AssetMapping) -> Iterator[tuple[str, tuple[str, str], str]]:
    """Every type and status, once, with the first place that names it."""
    seen: set[tuple[str, str]] = set()
    for place, what, text in _all_named(mapping):
        if (what[1], text) not in seen:
            seen.add((what[1], text))
            yield place, what, text


def _all_named(mapping: AssetMapping) -> Iterator[tuple[str, tuple[str, str], str]]:
    for place, _, rule in mapping.rules():
        yield f"{place}.type", _ASSET_TYPE, rule.type
        yield from ((f"{place}.attributes", _ATTRIBUTE_TYPE, name) for name in rule.attributes)
        yield from ((f"{place}.relations", _RELATION_TYPE, str(one.type)) for one in rule.relations)
        if rule.status:
            yield f"{place}.status", _STATUS, rule.status
        yield from ((f"{place}.responsibilities", _ROLE, role) for role in rule.responsibilities)
    for name, person in mapping.people.items():
        what, id_ = (_USER, person.user) if person.user else (_GROUP, person.group)
        yield f"people.{name}", what, str(id_)
    if mapping.deleted:
        yield "deleted.status", _STATUS, mapping.deleted.status


def _domains(mapping: AssetMapping) -> Iterator[tuple[str, Domain]]:
    yield from ((f"domains.{container}", domain) for container, domain in mapping.domains.items())
    yield from ((f"{place}.domain", rule.domain) for place, _, rule in mapping.rules() if rule.domain)


async def _is_there(imports: Imports, path: str, text: str) -> bool:
    if is_uuid(text):
        return await imports.ask(f"{path}/{text}") is not None
    return any(one.get("name") == text for one in await _of_name(imports, path, text))


async def _domain_fault(imports: Imports, domain: Domain) -> str | None:
    if domain.id:
        return None if await imports.ask(f"domains/{domain.id}") is not None else f"Collibra has no domain {domain.id}"
    community, name = domain.community or "", domain.name or ""
    ids = [
        one["id"]
        for one in await _of_name(imports, "communities", community)
        if one.get("name") == community and "id" in one
    ]
    if not ids:
        return f"Collibra has no community {community!r}"
    for id_ in ids:
        if any(one.get("name") == name for one in await _of_name(imports, "domains", name, communityId=str(id_))):
            return None
    return f"Collibra has no domain {name!r} in {community!r}"


async def _of_name(imports: Imports, path: str, name: str, **more: str) -> list[dict[str, Any]]:
    return await imports.ask(path, name=name, nameMatchMode="EXACT", **more) or []
