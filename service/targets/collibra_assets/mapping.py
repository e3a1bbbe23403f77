"""The mapping file: what of the catalog is what in Collibra. Read once, with every fault told by its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal
from uuid import UUID

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.errors import ConfigurationError
from service.mirror.described import VIEWS as DESCRIBED
from service.openlineage.naming import names_in

#: Bytes of a mapping file at most.
MAX_BYTES = 1_048_576
#: Faults that are told; of more, how many there are.
_SHOWN = 10
#: What stands for every other container, or type.
OTHERS = "*"

Kind = Literal["asset", "column", "artifact"]
#: The view that each kind's fields are columns of.
VIEWS: dict[Kind, str] = {"asset": "v1_assets", "column": "v1_asset_columns", "artifact": "v1_artifacts"}
#: What of them is not told: it is large, or changes by itself.
_UNTOLD = frozenset({"document", "mirrored_at", "is_stub"})
#: What a relation leads to: of a column its asset, of an asset its connection, of both their assigned terms.
End = Literal["asset", "connection", "terms"]
ENDS: dict[Kind, frozenset[End]] = {
    "asset": frozenset({"connection", "terms"}),
    "column": frozenset({"asset", "terms"}),
    "artifact": frozenset(),
}


class MappingInvalid(ConfigurationError):
    """The mapping file {path} cannot be used: {problem}."""

    remedy = "Mend it; docs/collibra-assets.md shows its form and every field."


def fields_of(kind: Kind) -> frozenset[str]:
    """The fields that attributes and templates of a kind may use: the columns of its view."""
    return _FIELDS[kind]


_FIELDS = {kind: frozenset(DESCRIBED[view].columns) - _UNTOLD for kind, view in VIEWS.items()}


def _is_template(text: str) -> str:
    """Fields in braces and nothing else: a format in them could ask for any width."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no template: {error}") from None
    if any(form or conversion for _, _, form, conversion in parts):
        raise ValueError(f"{text!r} has a format in its braces; only a field may stand there")
    if not text.strip():
        raise ValueError("an empty text names nothing")
    return text


Template = Annotated[str, AfterValidator(_is_template)]
Text = Annotated[str, Field(min_length=1, max_length=255)]


def named(text: str) -> dict[str, str]:
    """What is named by its id, if that is a UUID, or else by its name; as Collibra's identifiers have it."""
    return {"id": text} if is_uuid(text) else {"name": text}


def is_uuid(text: str) -> bool:
    """Whether a text is one of Collibra's ids."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Domain(_Part):
    """A domain that is there: by its id, or by its name and that of its community."""

    id: UUID | None = None
    name: Text | None = None
    community: Text | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Domain:
        if (self.id is None) == (self.name is None) or (self.name is None) != (self.community is None):
            raise ValueError("a domain has either an `id`, or a `name` and the name of its `community`")
        return self

    def told(self) -> dict[str, Any]:
        """As an identifier of the Import API."""
        return {"id": str(self.id)} if self.id else {"name": self.name, "community": {"name": self.community}}


class Relation(_Part):
    """A relation to something else that is told: its type, and which side of it the other one is."""

    type: UUID
    direction: Literal["SOURCE", "TARGET"]
    to: End

    @property
    def key(self) -> str:
        """As the Import API names it."""
        return f"{self.type}:{self.direction}"


class Person(_Part):
    """Who somebody of the catalog is in Collibra, which takes people by their ids alone: a user, or a group."""

    user: UUID | None = None
    group: UUID | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Person:
        if (self.user is None) == (self.group is None):
            raise ValueError("it is either a `user` or a `group`, by its id in Collibra")
        return self

    def told(self) -> dict[str, Any]:
        """As an owner of the Import API."""
        return {"user": {"id": str(self.user)}} if self.user else {"userGroup": {"id": str(self.group)}}


class Rule(_Part):
    """How things of one type are told."""

    type: Text
    domain: Domain | None = None
    name: Template = "{name}"
    display_name: Template | None = None
    #: Set when it is created, and when it comes back; what people set afterwards stays.
    status: Text | None = None
    attributes: dict[Text, str] = Field({}, max_length=200)
    relations: tuple[Relation, ...] = Field((), max_length=20)
    #: The field with its tags, joined with commas.
    tags: str | None = None
    #: Role → the field that names those who have it, joined with commas.
    responsibilities: dict[Text, str] = Field({}, max_length=20)


class Deleted(_Part):
    """What becomes of those that the catalog has no longer: kept, and marked where a status is set."""

    status: Text


class AssetMapping(_Part):
    """The whole file."""

    domains: dict[str, Domain] = Field({}, max_length=10_000)
    assets: dict[str, Rule] = Field({}, max_length=1_000)
    columns: Rule | None = None
    artifacts: dict[str, Rule] = Field({}, max_length=100)
    #: Who is who, by the id that the catalog has of them.
    people: dict[str, Person] = Field({}, max_length=10_000)
    deleted: Deleted | None = None

    @model_validator(mode="after")
    def _fits(self) -> AssetMapping:
        if not self.assets and not self.artifacts:
            raise ValueError("neither `assets` nor `artifacts` says what is told")
        for where, kind, rule in self.rules():
            _check(where, kind, rule)
            if self.deleted and rule.status is None:
                raise ValueError(f"{where}: with `deleted.status` it needs a `status`, for those that come back")
            if rule.responsibilities and not self.people:
                raise ValueError(f"{where}: with `responsibilities` the file needs `people`, who says who they are")
        return self

    def rules(self) -> Iterator[tuple[str, Kind, Rule]]:
        """Every rule with its place and the kind that it is of."""
        yield from ((f"assets.{name}", "asset", rule) for name, rule in self.assets.items())
        if self.columns:
            yield "columns", "column", self.columns
        yield from ((f"artifacts.{name}", "artifact", rule) for name, rule in self.artifacts.items())

    @property
    def tells_terms(self) -> bool:
        """Whether any rule asks for the terms that are assigned."""
        return any(one.to == "terms" for _, _, rule in self.rules() for one in rule.relations)

    def rule_of(self, kind: str, type_: str | None) -> Rule | None:
        """The rule for things of this kind and type; None: they are not mapped."""
        rules: Mapping[str, Rule] = {"asset": self.assets, "artifact": self.artifacts}.get(kind, {})
        return rules.get(type_ or "", rules.get(OTHERS))

    def domain_of(self, rule: Rule, container_id: str | None) -> Domain | None:
        """Where a thing goes; None: its container is not mapped."""
        return rule.domain or self.domains.get(container_id or "", self.domains.get(OTHERS))


def _check(where: str, kind: Kind, rule: Rule) -> None:
    """Raises `ValueError` where a rule uses what its kind does not have."""
    used = names_in(rule.name, rule.display_name or "") | {*rule.attributes.values(), *rule.responsibilities.values()}
    used |= {rule.tags} if rule.tags else set()
    if unknown := sorted(used - fields_of(kind)):
        raise ValueError(f"{where}: there is no field {unknown[0]!r}; there are {', '.join(sorted(fields_of(kind)))}")
    if wrong := [relation.to for relation in rule.relations if relation.to not in ENDS[kind]]:
        ends = ", ".join(sorted(ENDS[kind])) or "none"
        raise ValueError(f"{where}: it has no relation to {wrong[0]!r}; there are {ends}")


def read(path: Path) -> AssetMapping:
    """The mapping that a file holds, YAML or JSON.

    Raises:
        MappingInvalid: it cannot be read, is too large, or says what cannot be; tells where.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise MappingInvalid(path=path, problem=f"it is larger than {MAX_BYTES} bytes")
        told = yaml.safe_load(raw.decode("utf-8-sig"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise MappingInvalid(path=path, problem=f"line {line}: {error.problem}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise MappingInvalid(path=path, problem=f"{type(error).__name__}: {error}") from None
    try:
        return AssetMapping.model_validate(told)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        shown = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in faults[:_SHOWN]]
        more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise MappingInvalid(path=path, problem="; ".join(shown + more)) from None
