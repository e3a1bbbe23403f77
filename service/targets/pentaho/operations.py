"""What Pentaho Data Catalog can be asked to do: one table, from which requests, checks and commands are made.

The fourteenth operation, how a job stands, is `STATUS_PATH`. Source: docs/contract.md, "Pentaho Data Catalog".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    create_model,
)

from service.errors import DataError
from service.text.redaction import is_secret_key

EXECUTE_PATH = "/api/public/v1/jobs/execute/"
STATUS_PATH = "/api/public/v1/jobs/{id}/status"

#: Fields of Pentaho's connections that are secret and whose names do not betray it by one of the usual words.
_SECRET_FIELDS = frozenset({"azuresharedkey", "accessid", "secretmanagerkey"})

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
Id = Annotated[str, StringConstraints(min_length=1)]
Ids = Annotated[list[Id], Field(min_length=1)]


def is_secret(field: str) -> bool:
    """Whether a field of a connection holds a secret."""
    plain = field.lower().replace("_", "").replace("-", "")
    return plain in _SECRET_FIELDS or is_secret_key(field)


class RequestInvalid(DataError):
    """The request for {operation} cannot be made: {problem}."""

    error_class = "request"
    remedy = "docs/pentaho.md tells what each operation needs."


def _day(text: str) -> str:
    date.fromisoformat(text)
    return text


#: A day such as `2026-05-01`.
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$"), AfterValidator(_day)]


class Body(BaseModel):
    """A body of which every member is known; what is not named is not sent."""

    model_config = ConfigDict(strict=True, extra="forbid")


class EntitiesBody(Body):
    """Entities."""

    scope: Ids


class Days(BaseModel):
    """A range of days, among others."""

    model_config = ConfigDict(strict=True, extra="allow")

    startDate: Day | None = None
    endDate: Day | None = None


class ScopeBody(EntitiesBody):
    """The same; Pentaho's documents show `configs` in examples alone, so none is sent unless somebody says so."""

    configs: dict[str, Any] | None = None


class UsageBody(EntitiesBody):
    """Entities, and the range of days."""

    configs: Days | None = None


class IdentificationBody(EntitiesBody):
    """Entities, and with which dictionaries and patterns."""

    dictionaryIds: list[Id] | None = None
    dataPatternIds: list[Id] | None = None


class CollectionBody(Body):
    """One collection."""

    collectionId: Id


class RulesBody(Body):
    """Business rules; `ruleId` is a list in spite of its name."""

    ruleId: Ids


class RulesWithScopeBody(RulesBody):
    """Business rules, and the entities whose rows are counted."""

    scope: Ids


class RemovalBody(Body):
    """One data source, by both of its ids."""

    id: Id
    fqdnId: Id


#: The fields by which a data source is reached, all optional, by type.
_TEXTS = (
    "databaseName", "jobClasspath", "driverClassName", "resourceName", "resourceId", "fqdnId", "configMethod", "host",
    "lastTestConnectionId", "lastIngestId", "affinityId", "port", "uri", "databaseType", "spiVersion", "serviceType",
    "description", "status", "userName", "password", "encryptedPassword", "note", "oauthClientId", "oauthClientSecret",
    "hdfsCredType", "endpoint", "accessKey", "container", "accessId", "secretKey", "secretManagerKey", "project",
    "keyPath", "clientEmail", "warehouse", "region", "accountNumber", "iamUsername", "accessKeyID", "secretAccessKey",
    "assumeRole", "role", "externalID", "sslType", "trustStoreType", "trustStoreLocation", "trustStorePassword",
    "keyStoreType", "keyStoreLocation", "keyStorePassword", "cipherSuite", "serverDistinguishedName", "connectionType",
    "fileSystemType", "path", "followSymLinks", "domain", "shareName", "accountName", "azureCredType",
    "azureSharedKey", "azureTenantId",
)  # fmt: skip
_TRUTHS = ("availableForMigration", "enabledForMigration", "availableForWriting", "availableForDataMastering")
_DATA_SOURCE: dict[str, Any] = {
    **dict.fromkeys(_TEXTS, (str | None, None)),
    **dict.fromkeys(_TRUTHS, (bool | None, None)),
    **dict.fromkeys(("totalCapacity", "oAuthType"), (float | None, None)),
    "owners": (list[dict[str, Any]] | None, None),
    "users": (list[str] | None, None),
}
_INGEST = dict.fromkeys(("schemaNames", "includePatterns", "excludePatterns"), (list[str] | None, None))
_OPEN = ConfigDict(strict=True, extra="allow")
DataSourceBody = create_model("DataSourceBody", __config__=_OPEN, **_DATA_SOURCE)
#: The same, and what to take in.
IngestBody = create_model("IngestBody", __config__=_OPEN, **{**_DATA_SOURCE, **_INGEST})


def _misspelt(body: type[BaseModel], told: Mapping[str, Any]) -> str | None:
    """What is wrong with names that are none; one that is like no other may be of a newer Pentaho."""
    for name in told:
        if name not in body.model_fields and (like := get_close_matches(name, body.model_fields, 1, 0.7)):
            return f"there is no {name}; {like[0]} is meant, perhaps"
    return None


class Takes(StrEnum):
    """What an operation is about."""

    ENTITIES = "entities"
    COLLECTION = "collection"
    RULES = "rules"
    DATA_SOURCE = "data source"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: `ids` is the member of the body that holds what it is about."""

    name: str
    path: str
    takes: Takes
    ids: str
    body: type[BaseModel]
    meaning: str
    #: It takes many ids at once.
    many: bool = True
    #: It destroys, so it is never asked for twice.
    destroys: bool = False

    @property
    def command(self) -> str:
        """Its name on the command line."""
        return self.name.replace("_", "-")

    def request(self, ids: Sequence[str], more: Mapping[str, Any]) -> dict[str, Any]:
        """The body for these ids, each once and sorted, with more members.

        Raises:
            RequestInvalid: a member is missing, unknown, or of another type.
        """
        told = {**more, self.ids: sorted(set(ids)) if self.many else ids[0]}
        self.check(told)
        return told

    def check(self, request: Mapping[str, Any]) -> None:
        """Raises `RequestInvalid` where the documents would have the body otherwise; never with a value."""
        try:
            self.body.model_validate(dict(request))
            problem = _misspelt(self.body, request)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        if problem:
            raise RequestInvalid(operation=self.command, problem=problem)

    def check_by_hand(self, request: Mapping[str, Any]) -> None:
        """As `check`; also ids of entities and collections, which a person may mistake for names.

        What links say is sent as it is: Pentaho knows best.
        """
        self.check(request)
        told = [*request.get("scope", ()), *filter(None, [request.get("collectionId")])]
        if any(not _UUID.fullmatch(one) for one in told):
            problem = f"{'scope' if 'scope' in request else 'collectionId'}: it is no UUID"
            raise RequestInvalid(operation=self.command, problem=problem)

    def ids_of(self, request: Mapping[str, Any]) -> list[str]:
        """What a request is about."""
        told = request.get(self.ids)
        return list(told) if isinstance(told, list) else [told] if told else []


def _entities(name: str, path: str, meaning: str, body: type[BaseModel] = ScopeBody) -> Operation:
    return Operation(name, path, Takes.ENTITIES, "scope", body, meaning)


def _collection(name: str, path: str, meaning: str) -> Operation:
    return Operation(name, path, Takes.COLLECTION, "collectionId", CollectionBody, meaning, many=False)


def _data_source(name: str, path: str, meaning: str, body: type[BaseModel]) -> Operation:
    return Operation(name, path, Takes.DATA_SOURCE, "resourceId", body, meaning, many=False)


_OPERATIONS = (
    _data_source("test_connection", "test-connection", "Try whether Pentaho reaches a data source.", DataSourceBody),
    Operation(
        "remove_datasource", "remove-datasource", Takes.DATA_SOURCE, "id", RemovalBody,
        "Delete a data source at Pentaho, with its metadata and data.", many=False, destroys=True,
    ),
    _data_source("metadata_ingest", "metadata/ingest", "Take in the metadata of a data source.", IngestBody),
    _entities(
        "metadata_re_ingest", "metadata/re-ingest", "Take in the metadata of entities anew.", EntitiesBody,
    ),
    _entities("data_profiling", "data-profiling", "Profile the data of entities."),
    _entities("data_discovery", "data-discovery", "Discover what the files of entities hold."),
    _entities(
        "data_identification", "data-identification",
        "Identify data by dictionaries and patterns; profiling and discovery come first.", IdentificationBody,
    ),
    _collection("collection_profiling", "collections/data-profiling", "Profile a collection."),
    _collection("collection_aggregation", "collections/data-aggregation", "Aggregate a collection of type dataset."),
    Operation("business_rule", "business-rule", Takes.RULES, "ruleId", RulesBody, "Run business rules."),
    Operation(
        "business_rule_with_row_counter", "business-rule/with-row-counter", Takes.RULES, "ruleId", RulesWithScopeBody,
        "Run business rules and count the rows of entities.",
    ),
    _entities(
        "usage_statistics", "usage-statistics", "Compute usage statistics of entities for a range of dates.", UsageBody,
    ),
    _entities("pii_detection", "pii-detection", "Look for personal data in entities."),
)  # fmt: skip

#: Every operation that makes a job, by its name.
OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in _OPERATIONS}
