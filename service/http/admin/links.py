"""`/api/admin/pentaho/{target}/links`: what in the catalog is what at Pentaho."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.http.admin.calls import Asked, Body, Call, Parameters, Word
from service.http.admin.pentaho import target_of
from service.operations import links as operations
from service.operations.acting import Unknown
from service.targets.pentaho import link_files
from service.targets.pentaho.checks import LinkFinding
from service.targets.pentaho.links import KINDS, Imported, Link

_PATH = "/api/admin/pentaho/{target}/links"
#: Links that one call may bring, and entities whose rows a rule counts.
_MOST, _MOST_SCOPE = 10_000, 1000

Kind = Annotated[str, Field(pattern=f"^({'|'.join(KINDS)})$")]


class NotLinked(Unknown):
    """The {kind} {thing!r} has no such link."""

    remedy = "`catalog-mirror links list` lists what is linked."


class OfKind(Parameters):
    """Which links."""

    kind: Kind | None = Field(None, description="Only of this kind.")


class Told(BaseModel):
    """One link; docs/pentaho.md tells what its members hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Kind
    catalog_id: Word
    pentaho_id: Word
    fqdn_id: Word | None = Field(None, description="Of a connection, and nothing else: the fqdnId of its data source.")
    scope: Annotated[list[Word], Field(max_length=_MOST_SCOPE)] = Field(
        [], description="Of a rule, and nothing else: the entities whose rows are counted."
    )


class Import(Body):
    """Links, of which all are taken or none."""

    links: Annotated[list[Told], Field(max_length=_MOST)]
    replace: bool = Field(False, description="Remove the links that are not among these.")
    dry_run: bool = Field(False, description="Only say what it would do.")


class Remove(Body):
    """Of which thing the links are removed."""

    kind: Kind
    catalog_id: Word
    pentaho_id: Word | None = Field(None, description="Only the link to this.")


@dataclass(frozen=True, slots=True)
class Removed:
    """How many links were removed."""

    links: int


async def _listed(asked: Asked[OfKind, Body]) -> list[Link]:
    return await operations.listed(asked.means.store, await target_of(asked), asked.query.kind)


async def _check(asked: Asked[Parameters, Body]) -> list[LinkFinding]:
    return await operations.check(asked.means.store, asked.means.settings, await target_of(asked))


async def _import(asked: Asked[Parameters, Import]) -> Imported:
    told, target = asked.body, await target_of(asked)
    taken = link_files.of_members(one.model_dump(exclude_none=True) for one in told.links)
    return await operations.take_in(
        asked.means.store, target, taken, asked.act, replace=told.replace, dry_run=told.dry_run
    )


async def _remove(asked: Asked[Parameters, Remove]) -> Removed:
    told, target = asked.body, await target_of(asked)
    number = await operations.remove(asked.means.store, target, told.kind, told.catalog_id, told.pentaho_id, asked.act)
    if not number:
        raise NotLinked(kind=told.kind, thing=told.catalog_id)
    return Removed(number)


CALLS: tuple[Call, ...] = (
    Call("GET", _PATH, "listLinks", "What in the catalog is what at Pentaho", list[Link], _listed, OfKind,
         refusals=(404,)),
    Call("GET", f"{_PATH}/check", "checkLinks", "Whether links can work, and what is not linked", list[LinkFinding],
         _check, refusals=(404,)),
    Call("POST", f"{_PATH}/import", "importLinks", "Take links in, all or none", Imported, _import, body=Import,
         refusals=(404,)),
    Call("POST", f"{_PATH}/remove", "removeLinks", "Remove the links of one thing", Removed, _remove, body=Remove,
         refusals=(404,)),
)  # fmt: skip
