"""Import commands: things of the catalog in Collibra's words. Pure.

The form of commands and identifiers, and the lengths of external ids, are those of Collibra's Import API
(docs/contract.md, "Collibra: assets").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from service.targets.collibra_assets.mapping import AssetMapping, Domain, Kind, Rule, named
from service.text.documents import canonical

#: Characters of `externalSystemId` and `externalEntityId` at most.
MAX_SYSTEM, MAX_ENTITY = 36, 255
#: In this order, so that what others lead to comes first.
_ORDER: tuple[Kind, ...] = ("artifact", "asset", "column")


def external_id(kind: Kind, entity_id: str, column: str = "") -> str:
    """Under which id Collibra keeps a thing: an asset's own id; that of a column begins with its asset's.

    No two things have one id: ids are quoted, so that neither mark occurs in them. One that is too long is hashed.
    """
    own = quote(entity_id, safe="")
    told = {"asset": own, "column": f"{own}/{column}", "artifact": f"artifact:{own}"}[kind]
    return told if len(told) <= MAX_ENTITY else f"sha256:{sha256(told.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A thing as it is to be in Collibra."""

    external_id: str
    kind: Kind
    #: For people.
    name: str
    #: The command without identifier, status and relations.
    told: Mapping[str, Any]
    #: Its status when it is created, or comes back.
    status: str | None
    #: Relation → the external ids that it leads to.
    ends: Mapping[str, tuple[str, ...]]
    #: Those of them that are assets; a term that comes to be there is found by whom it is assigned to.
    assets: tuple[str, ...] = ()

    def command(self, known: Collection[str]) -> dict[str, Any]:
        """The command, without identifier and status; relations lead to what Collibra knows already.

        What leads nowhere is told, too, which takes away what was there; what leads to none that is known is not.
        """
        known_ends = {key: [end for end in ends if end in known] for key, ends in self.ends.items()}
        relations = {key: ends for key, ends in known_ends.items() if ends or not self.ends[key]}
        return {**self.told, **({"relations": relations} if relations else {})}

    def lacking(self, known: Collection[str]) -> str | None:
        """The first asset at another end that Collibra does not know yet."""
        return next((end for end in self.assets if end not in known), None)


def draft(
    mapping: AssetMapping,
    kind: Kind,
    row: Mapping[str, Any],
    rule: Rule | None,
    domain: Domain | None,
    terms: Collection[str] = (),
) -> Draft | None:
    """A row of a view, and the terms that are assigned to it, as Collibra is to have it; None: it is not mapped."""
    if rule is None or domain is None:
        return None
    own = {"asset": "asset_id", "column": "asset_id", "artifact": "artifact_id"}[kind]
    texts = {name: _text(value) or "" for name, value in row.items()}
    texts["name"] = texts["name"] or str(row[own])
    told: dict[str, Any] = {
        "name": rule.name.format(**texts),
        "domain": domain.told(),
        "type": named(rule.type),
        "attributes": {type_: _values(row[field]) for type_, field in sorted(rule.attributes.items())},
    }
    if rule.display_name:
        told["displayName"] = rule.display_name.format(**texts)
    if rule.tags:
        told["tags"] = _listed(_text(row[rule.tags]))
    if rule.responsibilities:
        told["responsibilities"] = {
            role: _people(mapping, row[field]) for role, field in sorted(rule.responsibilities.items())
        }
    column = str(row["name"]) if kind == "column" else ""
    ends = {one.key: _ends(one.to, row, terms) for one in rule.relations}
    assets = tuple(end for one in rule.relations if one.to != "terms" for end in ends[one.key])
    return Draft(external_id(kind, row[own], column), kind, told["name"], told, rule.status, ends, assets)


def _listed(value: str | None) -> list[str]:
    """What a field joins with commas, each once; in one order, since theirs says nothing."""
    return sorted({text for one in (value or "").split(",") if (text := one.strip())})


def _people(mapping: AssetMapping, value: Any) -> list[dict[str, Any]]:
    """Those of these whom the mapping knows."""
    return [mapping.people[one].told() for one in _listed(_text(value)) if one in mapping.people]


def _ends(to: str, row: Mapping[str, Any], terms: Collection[str]) -> tuple[str, ...]:
    if to == "terms":
        return tuple(external_id("artifact", one) for one in sorted(terms))
    other = row["asset_id"] if to == "asset" else row["connection_id"]
    return (external_id("asset", other),) if other else ()


def _values(value: Any) -> list[dict[str, str]]:
    """An attribute's values: of what is empty none, which takes away those that are there."""
    text = _text(value)
    return [] if text is None or not text.strip() else [{"value": text}]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def identified(system: str, external: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """A whole command, for what this mirror calls so; ends of relations are named likewise."""
    told = dict(more)
    if relations := told.get("relations"):
        told["relations"] = {key: [_identifier(system, end) for end in ends] for key, ends in relations.items()}
    return {"resourceType": "Asset", "identifier": _identifier(system, external), **told}


def _identifier(system: str, external: str) -> dict[str, str]:
    return {"externalSystemId": system, "externalEntityId": external}


def in_order(drafts: Sequence[Draft]) -> list[Draft]:
    """Those that others lead to first."""
    return sorted(drafts, key=lambda one: (_ORDER.index(one.kind), bool(one.ends), one.external_id))


def as_text(command: Mapping[str, Any]) -> str:
    """A command as it is compared and kept."""
    return canonical(command).decode()
