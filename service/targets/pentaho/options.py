"""What a Pentaho target can be told, in `TARGETS__<NAME>__OPTIONS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from service.settings.sections import Duration
from service.targets.pentaho.operations import OPERATIONS, RequestInvalid, Takes, is_secret

Rule = Literal[
    "connection_saved", "connection_deleted", "asset_saved", "profile_finished", "enrichment_area_saved", "list_saved",
    "rule_saved", "usage_observed",
]  # fmt: skip
#: Operations of which each but the first waits until the one before has succeeded.
Chain = tuple[str, ...]

#: What a rule's operations are about.
TAKES: dict[Rule, Takes] = {
    "connection_saved": Takes.DATA_SOURCE,
    "connection_deleted": Takes.DATA_SOURCE,
    "asset_saved": Takes.ENTITIES,
    "profile_finished": Takes.ENTITIES,
    "enrichment_area_saved": Takes.ENTITIES,
    "list_saved": Takes.COLLECTION,
    "rule_saved": Takes.RULES,
    "usage_observed": Takes.ENTITIES,
}
#: What happens where settings say nothing. Nothing is removed at Pentaho unless settings say so.
RULES: dict[Rule, tuple[Chain, ...]] = {
    "connection_saved": (("test_connection", "metadata_ingest"),),
    "connection_deleted": (),
    "asset_saved": (("metadata_re_ingest",),),
    "profile_finished": (("data_profiling",),),
    "enrichment_area_saved": (("data_profiling", "data_discovery", "data_identification"), ("pii_detection",)),
    "list_saved": (("collection_profiling", "collection_aggregation"),),
    "rule_saved": (("business_rule",), ("business_rule_with_row_counter",)),
    "usage_observed": (("usage_statistics",),),
}


def _words(words: Any) -> Any:
    """Words are compared without regard to case."""
    return [word.casefold() if isinstance(word, str) else word for word in words] if isinstance(words, list) else words


Words = Annotated[frozenset[str], BeforeValidator(_words)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SignInOptions(_Part):
    """What is sent with user and password; null leaves a field out."""

    path: str = Field("/api/public/v1/auth", pattern="^/")
    client_id: str | None = "pdc-client"
    grant_type: str | None = "password"
    scope: str | None = "openid profile email"


class DataSourceOptions(BaseModel):
    """How Pentaho reaches one data source: the fields of its connection, and the file with the secret ones."""

    model_config = ConfigDict(extra="allow", frozen=True)

    secret_file: Path | None = None


class Options(_Part):
    """All options."""

    rules: dict[Rule, tuple[Chain, ...]] = RULES
    settle_s: Duration = Field(60, alias="settle", ge=0)
    usage_every_s: Duration = Field(24 * 3600, alias="usage_every", gt=0)
    scope_max: int = Field(1000, ge=1, le=20_000)
    bodies: dict[str, dict[str, Any]] = {}
    data_sources: dict[str, DataSourceOptions] = Field({}, repr=False)
    sign_in: SignInOptions = SignInOptions()
    profile_words: Words = frozenset({"finished", "completed", "succeeded"})
    done_words: Words = frozenset({"completed", "complete", "success", "succeeded", "successful", "finished", "done"})
    failed_words: Words = frozenset({
        "failed", "failure", "error", "errors", "errored", "aborted", "cancelled", "canceled", "terminated", "stopped",
        "killed", "timed", "timeout", "rejected", "expired",
    })  # fmt: skip
    poll_s: Duration = Field(5, alias="poll", gt=0)
    poll_max_s: Duration = Field(60, alias="poll_max", gt=0)
    deadline_s: Duration = Field(6 * 3600, alias="deadline", gt=0)
    concurrency: int = Field(2, ge=1, le=32)
    timeout_s: float = Field(30, gt=0)
    announce: bool = True

    @model_validator(mode="before")
    @classmethod
    def _fill_rules(cls, told: Any) -> Any:
        """Rules that are not told stay as they are."""
        if isinstance(told, dict) and isinstance(told.get("rules"), dict):
            return {**told, "rules": {**RULES, **told["rules"]}}
        return told

    @model_validator(mode="after")
    def _check(self) -> Options:
        for rule, chains in self.rules.items():
            _check_chains(rule, chains)
        for name, more in self.bodies.items():
            _check_body(name, more)
        for name, source in self.data_sources.items():
            _check_data_source(name, source)
        if both := self.done_words & self.failed_words:
            raise ValueError(f"{sorted(both)[0]!r} is both a done_words and a failed_words")
        return self


def _check_chains(rule: Rule, chains: tuple[Chain, ...]) -> None:
    for chain in chains:
        if unknown := [name for name in chain if name not in OPERATIONS]:
            raise ValueError(f"rules.{rule}: there is no operation {unknown[0]!r}")
        operations = [OPERATIONS[name] for name in chain]
        if any(operation.takes is not TAKES[rule] for operation in operations):
            raise ValueError(f"rules.{rule}: its operations are about one {TAKES[rule]} each or many")
        if any(operation.destroys for operation in operations) and (rule != "connection_deleted" or len(chain) > 1):
            raise ValueError(f"rules.{rule}: remove_datasource stands alone, under connection_deleted")
        if len(chain) > 1 and "business_rule_with_row_counter" in chain:
            raise ValueError(f"rules.{rule}: business_rule_with_row_counter stands alone")


def _check_body(name: str, more: dict[str, Any]) -> None:
    if name not in OPERATIONS:
        raise ValueError(f"bodies: there is no operation {name!r}")
    if secret := next(filter(is_secret, more), None):
        raise ValueError(f"bodies.{name}: {secret} would be stored; it belongs under data_sources, in a secret_file")
    operation = OPERATIONS[name]
    stands_for = {"scope": ["-"], "ruleId": ["-"], "collectionId": "-", "id": "-", "fqdnId": "-", "resourceId": "-"}
    needed = {field: stands_for[field] for field in operation.body.model_fields if field in stands_for}
    try:
        operation.check({**needed, **more})
    except RequestInvalid as error:
        raise ValueError(f"bodies: {error}") from None


def _check_data_source(name: str, source: DataSourceOptions) -> None:
    try:
        OPERATIONS["metadata_ingest"].check(source.model_extra or {})
    except RequestInvalid as error:
        raise ValueError(f"data_sources.{name}: {error}") from None
