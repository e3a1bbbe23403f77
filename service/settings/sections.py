"""The sections of the settings: one class each, which says what its settings are, mean, and are by default."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    model_validator,
)
from pydantic_settings import NoDecode

from service.changes import Origin
from service.text.forgotten import NOBODY, Forgotten
from service.text.principals import Principals
from service.text.privacy import Privacy
from service.text.profile_values import ProfileValues
from service.text.secret_forms import WORDS_MAX, normal_word
from service.text.tokens import FORMS_MAX, form_of


def _split(value: Any) -> Any:
    """Lists may be written as `a, b` in the environment, or as JSON."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        return json.loads(value)  # what it raises is a ValueError, which pydantic tells with the setting's name
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _off(value: Any) -> Any:
    """YAML reads a bare `off` as false."""
    return "off" if value is False else value


def _seconds(value: Any) -> Any:
    """A duration may be written as `90`, `15m`, `2h`, `7d` or `1y`."""
    if isinstance(value, str) and value[-1:] in _UNITS_S:
        number = value[:-1].strip()
        return float(number) * _UNITS_S[value[-1]] if number.replace(".", "", 1).isdigit() else value
    return value


_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "y": 365 * 86_400}
Duration = Annotated[float, BeforeValidator(_seconds)]

Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]
Statistic = Literal["EDITS", "DOWNLOADS", "PUBLISH_TO_CATALOG", "CLONE_TO_PROJECT", "PROMOTE_TO_SPACE"]


def _are_forms(forms: list[str]) -> list[str]:
    for form in forms:
        form_of(form)
    return forms


def _are_words(words: list[str]) -> list[str]:
    for word in words:
        normal_word(word)
    return words


class Section(BaseModel):
    """Base of the sections. Unknown names are refused by `load`, so that a typing mistake is noticed."""

    model_config = ConfigDict(extra="ignore", frozen=True, validate_default=True, populate_by_name=True)


def _is_amqp_url(url: SecretStr | None) -> SecretStr | None:
    try:
        scheme = urlsplit(url.get_secret_value()).scheme if url else "amqp"
    except ValueError:
        raise ValueError("it is no URL") from None  # the reason would show the password
    if scheme not in {"amqp", "amqps"}:
        raise ValueError("it must start with amqp:// or amqps://")
    return url if url and url.get_secret_value() else None


def _is_store_url(url: SecretStr | None) -> SecretStr | None:
    if url and not re.match(r"[\w+]+://", url.get_secret_value()):
        raise ValueError("it is no database URL")
    return url


def _is_http_secret(url: SecretStr | None) -> SecretStr | None:
    try:
        parts = urlsplit(url.get_secret_value()) if url else None
        usable = parts is None or (parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0)
    except ValueError:
        raise ValueError("it is no URL") from None  # the reason would show the password
    if not usable:
        raise ValueError("it must start with http:// or https:// and name a host")
    return url


def _is_http_url(url: str | None) -> str | None:
    try:
        parts = urlsplit(url or "https://host")
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable, parts = False, urlsplit("")
    if not usable:
        raise ValueError("it must start with http:// or https:// and name a host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("it must hold neither user nor password, `?` nor `#`")
    return url.rstrip("/") if url else None


def _is_target_url(url: str | None) -> str | None:
    if url and url.startswith(("amqp://", "amqps://")):
        _is_http_url(url.replace("amqp", "http", 1))
        return url
    return _is_http_url(url)


class AmqpSettings(Section):
    """The catalog's broker."""

    url: Annotated[SecretStr | None, AfterValidator(_is_amqp_url)] = Field(
        None, description="Where the broker is: amqps://user:password@host:5671/vhost. Unset: no broker."
    )
    ca_file: Path | None = Field(None, description="Certificates (PEM) that the broker's certificate must lead to.")
    cert_file: Path | None = Field(None, description="Our certificate (PEM), for a broker that asks for one.")
    key_file: Path | None = Field(
        None, description="Its private key (PEM), not for everybody to read. Unset: CERT_FILE holds both."
    )
    token_url: Annotated[str | None, AfterValidator(_is_http_url)] = Field(
        None, description="Where tokens are had, for a broker that wants OAuth 2.0 instead of a password."
    )
    token_client_id: str | None = Field(None, description="Who asks for a token (client credentials).")
    token_client_secret: SecretStr | None = Field(None, description="Its secret.")
    token_scope: str | None = Field(None, description="Scopes to ask for, with spaces between. Unset: none is named.")
    exchange: str = Field("CatalogServiceMessageHub", description="The catalog's topic exchange.")
    queue: str = Field("catalog-mirror", description="Our own queue; replicas share it.")
    queues: int = Field(
        1,
        ge=1,
        le=64,
        description="Queues that events are spread over, QUEUE, QUEUE.2, …: for more than one queue can carry. More "
        "than 1 needs the broker's plugin rabbitmq_consistent_hash_exchange.",
    )
    bindings: Names = Field([], description="Patterns to bind. Empty: those of the active routes.")
    declare_exchange: bool = Field(
        False, description="Declare the exchange. The catalog's own is never ours to declare."
    )
    declare_queue: bool = Field(True, description="Declare and bind the queue. False: it is waited for.")
    queue_type: Literal["quorum", "classic"] = Field("quorum", description="Kind of our queue.")
    queue_max_bytes: int = Field(2 * 1024**3, ge=1, description="Bytes after which the oldest messages are dropped.")
    delivery_limit: int = Field(10_000, ge=1, description="Deliveries of one message before the broker drops it.")
    prefetch: int = Field(
        2000, ge=1, le=65535, description="Messages in hand at most, of all queues; memory holds so many bodies."
    )
    heartbeat_s: int = Field(30, ge=5, le=3600, description="Seconds between heartbeats.")
    connect_timeout_s: float = Field(10, gt=0, description="Seconds to wait for a connection.")
    lineage_key: str = Field(
        "v2.lineage_events.{event_id}.MIRROR", description="Routing key of the lineage events that we publish."
    )
    gap_after_s: Duration = Field(
        3600, alias="gap_after", gt=0, description="An absence that counts as a gap: seconds, or 15m, 1h, 2d."
    )
    watchdog_interval_s: float = Field(15, gt=0, description="Seconds between two looks at the queue.")
    management_url: Annotated[SecretStr | None, AfterValidator(_is_http_secret)] = Field(
        None, description="The broker's management API, with user and password: shows how full our queue is."
    )

    @model_validator(mode="after")
    def _names_a_client(self) -> Self:
        if self.token_url and not (self.token_client_id and self.token_client_secret):
            raise ValueError("AMQP__TOKEN_URL needs AMQP__TOKEN_CLIENT_ID and AMQP__TOKEN_CLIENT_SECRET (or …_FILE)")
        return self


class StoreSettings(Section):
    """The mirror's database."""

    url: Annotated[SecretStr, AfterValidator(_is_store_url)] = Field(
        SecretStr("sqlite:///catalog-mirror.db"), description="sqlite:///file or postgresql://user:password@host/db."
    )
    migration_url: Annotated[SecretStr | None, AfterValidator(_is_store_url)] = Field(
        None, description="URL (role) for migrations. Unset: the same."
    )
    schema_name: str | None = Field(
        None, alias="schema", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="PostgreSQL schema of our own."
    )
    ca_file: Path | None = Field(
        None, description="Certificates (PEM) that PostgreSQL's certificate must lead to, and bear its name."
    )
    cert_file: Path | None = Field(None, description="Our certificate (PEM), for a PostgreSQL that asks for one.")
    key_file: Path | None = Field(
        None, description="Its private key (PEM), not for everybody to read. Unset: CERT_FILE holds both."
    )
    migrate: bool = Field(True, description="Let `run`, `replay` and `demo` bring the schema up to date.")
    pool_size: int = Field(5, ge=1, le=100, description="Connections to PostgreSQL.")
    timeout_s: float = Field(30, gt=0, description="Seconds after which a statement is given up.")


class CatalogSettings(Section):
    """The catalog's REST API."""

    url: Annotated[str | None, AfterValidator(_is_http_url)] = Field(
        None,
        description="The catalog's API. Set: hints of deletions ask for a refresh. Unset: they count as deletions.",
    )
    auth: Literal["auto", "iam", "cpd", "mcsp", "gov"] = Field(
        "auto",
        description="How to sign in: iam (IBM Cloud), cpd (on premises), mcsp (AWS), gov (US government). "
        "auto: cpd where a user is named, else by the host of URL.",
    )
    api_key: SecretStr | None = Field(None, description="Key to sign in with.")
    username: str | None = Field(None, description="User to sign in as, on premises.")
    password: SecretStr | None = Field(None, description="The user's password, on premises, where there is no key.")
    iam_url: Annotated[str | None, AfterValidator(_is_http_url)] = Field(
        None, description="Where a key is exchanged for a token, on a cloud. Unset: where that cloud has it."
    )
    account_id: str | None = Field(None, description="Account to sign in to, on AWS.")
    ca_file: Path | None = Field(None, description="Certificates (PEM) that the catalog's certificate must lead to.")
    bss_account_id: str | None = Field(
        None, description="Account whose containers are listed; service ids must name it, other users leave it out."
    )
    subtypes: str | None = Field(
        None,
        description="Catalogs with a subtype too: `ALL_SUBTYPES,NO_SUBTYPES`, or subtypes with commas between them. "
        "Unset: the catalog lists those without one.",
    )
    calls_per_minute: int = Field(
        600, ge=1, le=100_000, description="Calls in a minute at most, of all parts together."
    )
    concurrency: int = Field(4, ge=1, le=100, description="Calls at the same time at most.")
    timeout_s: float = Field(60, gt=0, description="Seconds after which a call is given up.")
    max_answer_bytes: int = Field(64 * 1024**2, ge=1024, description="Larger answers are refused.")
    allow_metadata_on_dpr_deny: bool = Field(
        False,
        description="Ask also for metadata of assets whose data a data protection rule denies to whoever signs in.",
    )
    parameters: dict[str, str] = Field(
        {}, description='Query parameters under other names than we assume, as JSON: {"dataset_id": "data_set"}.'
    )


class ScopeSettings(Section):
    """What of the catalog is mirrored."""

    include: Names = Field(
        [], description="Mirrored: `catalog:ID`, `project:*`, `type:data_asset`, …. Empty: everything."
    )
    exclude: Names = Field([], description="Not mirrored, whatever `include` says. Narrowing never sends a deletion.")


class SyncSettings(Section):
    """How the catalog is read over REST; needs CATALOG__URL."""

    snapshot: bool = Field(True, description="Let the first `run` read everything by itself.")
    poll_s: Duration = Field(20, alias="poll", gt=0, description="Time between two looks for changes.")
    index_lag_s: Duration = Field(
        900, alias="index_lag", gt=0, description="How late the catalog's search index may show a change."
    )
    rotation_s: Duration = Field(
        6 * 3600, alias="rotation", gt=0, description="Time in which all that has no time filter is read once."
    )
    reconcile_s: Duration = Field(
        24 * 3600, alias="reconcile", gt=0, description="Time between two reconciles that start by themselves."
    )
    skip: Names = Field(
        ["asset_statistic"], description="Kinds that are not read; statistics cost five calls per asset."
    )
    profile_documents: bool = Field(
        False,
        description="on: read the documents of profiles, with figures of each column, from where signed URLs lead.",
    )
    profile_document_hosts: Names = Field(
        [], description="Hosts that have them: s3.eu-de.example.com, *.example.com; networks for private addresses."
    )
    profile_document_max_bytes: int = Field(64 * 1024**2, ge=1024, description="Larger documents are not read.")
    refresh_batch: int = Field(200, ge=1, le=2000, description="Refresh requests taken at once.")
    refresh_attempts: int = Field(8, ge=1, description="Readings that fail before a refresh request is given up.")
    brake_share: float = Field(
        0.05, gt=0, le=1, description="A reconcile that would delete a larger share of a container waits for a person."
    )
    brake_rows: int = Field(20, ge=1, description="Fewer deletions than this never wait.")
    epoch_file: Path | None = Field(
        None, description="File outside the store by which a store restored from a backup is noticed."
    )

    def is_mass_deletion(self, deletions: int, things: int) -> bool:
        """Whether so many deletions, of so many things, wait for a person."""
        return deletions >= self.brake_rows and deletions > things * self.brake_share


class RoutesSettings(Section):
    """Which handler takes which routing key."""

    defaults: bool = Field(True, description="Use the routes that the handlers declare.")
    overrides: dict[str, str] = Field(
        {}, description='Pattern → handler name or `ignore`, as JSON: {"v2.lineage_events.*.POST": "lineage_recorded"}.'
    )


class PipelineSettings(Section):
    """How events are read and written."""

    batch_max: int = Field(500, ge=1, le=10_000, description="Events in one transaction at most.")
    batch_wait_s: float = Field(
        0.05, ge=0, le=10, description="Seconds from one batch to the next that is not full; after a pause none."
    )
    batch_max_bytes: int = Field(16 * 1024**2, ge=1024, description="Bytes of bodies in one transaction at most.")
    max_body_bytes: int = Field(
        16 * 1024**2,
        ge=1024,
        description="Of a larger body only what it names is read again from the catalog; else it is a dead letter.",
    )
    max_depth: int = Field(64, ge=8, le=200, description="Deeper nesting becomes a dead letter.")
    principals: Principals = Field(Principals.KEEP, description="What happens to users' names: keep, hash or drop.")
    profile_values: ProfileValues = Field(
        ProfileValues.NUMBERS,
        description="What of people's tables is kept of profiles: numbers, all (texts, too), or none (counts stay).",
    )
    secret_words: Annotated[Names, AfterValidator(_are_words)] = Field(
        [],
        max_length=WORDS_MAX,
        description="More words by which a key is that of a secret, also inside of longer keys: Geheimzahl, heslo.",
    )
    secret_forms: Annotated[Names, AfterValidator(_are_forms)] = Field(
        [],
        max_length=FORMS_MAX,
        description='Forms of your own tokens, by how they begin, as JSON: ["acme_[A-Za-z0-9]{20,40}"].',
    )
    brake_window: int = Field(200, ge=1, description="Events that the brake looks back at.")
    brake_failures: int = Field(40, ge=1, description="More failures than this among them stop consuming.")
    handler_deadline_s: float = Field(60, gt=0, description="Oldest event in hand before the consumer counts as dead.")
    drain_s: float = Field(20, gt=0, description="Seconds to finish what is in hand after SIGTERM.")

    def privacy(self, forgotten: Forgotten = NOBODY) -> Privacy:
        """What is hidden before anything is written; `forgotten`: who was, in the mirror that is written to."""
        return Privacy(self.principals, self.profile_values, forgotten)


class RelaySettings(Section):
    """How deliveries go out."""

    batch_max: int = Field(500, ge=1, le=10_000, description="Deliveries taken at once.")
    lease_s: float = Field(60, gt=0, description="Seconds a replica may hold a delivery.")
    memory_max: int = Field(5000, ge=0, description="Fresh deliveries held in memory at most.")
    poll_s: float = Field(1.0, gt=0, description="Seconds between two looks for due deliveries.")
    retry_max_s: float = Field(300, gt=0, description="Longest pause between two attempts.")
    max_age_s: Duration = Field(
        7 * 86400,
        alias="max_age",
        gt=0,
        description="Age at which a delivery becomes a dead letter: seconds, or 12h, 7d.",
    )


class RetentionSettings(Section):
    """How long things are kept that nobody asks for any more."""

    closed_s: Duration = Field(
        30 * 86400, alias="closed", gt=0, description="Dead letters, gaps, runs and targets' jobs that are closed: 30d."
    )
    dead_letters_s: Duration = Field(
        365 * 86400, alias="dead_letters", gt=0, description="Dead letters that nobody closed, since last met."
    )
    lineage_s: Duration = Field(
        3 * 365 * 86400,
        alias="lineage",
        gt=0,
        description="Lineage events, by when they happened. Older ones that still come are refused and counted.",
    )
    history_s: Duration | None = Field(
        None,
        alias="history",
        gt=0,
        description="Every state that was: 1y. By when it ended. Unset: only what is now is kept.",
    )
    profiles_s: Duration | None = Field(
        None,
        alias="profiles",
        gt=0,
        description="What finished runs of profiles found: 90d. Unset: of the current state alone is known.",
    )
    runs_lost_s: Duration = Field(
        86400,
        alias="runs_lost",
        gt=0,
        description="A run that never ended is shown as LOST once nothing was heard of it for so long: 24h.",
    )
    usage_s: Duration = Field(
        400 * 86400,
        alias="usage",
        ge=32 * 86400,  # a window of 30 days, one of which may have 25 hours, that ended a day ago
        description="Uses of assets, by when they happened. Older ones that still come are refused and counted.",
    )


class ProfilesSettings(Section):
    """What changes from one run of profiling to the next are told; needs RETENTION__PROFILES."""

    drift_nulls: float = Field(0.05, gt=0, le=1, description="Change of the share of rows without a value.")
    drift_distinct: float = Field(0.2, gt=0, le=1, description="Change of the share of different values.")
    drift_rows: float = Field(0.5, gt=0, description="Change of the number of rows, as a share of it.")


class UsageSettings(Section):
    """What counts as a use of an asset."""

    lineage_events: Names = Field(
        [], description="`event_type`s of lineage events that count as a use of each asset in `uses_assets`."
    )
    statistics: Annotated[list[Statistic], NoDecode, BeforeValidator(_split)] = Field(
        [], description="The catalog's statistics of assets whose growth counts as uses, such as DOWNLOADS."
    )
    salt: SecretStr | None = Field(
        None, description="Users are kept as hashes with this salt. Unset: one is made once and kept in the store."
    )


class _Options(dict[str, Any]):
    """What a target alone is told, in which secrets may stand: shown by names."""

    def __repr__(self) -> str:
        return repr(dict.fromkeys(self, "**********"))


Options = Annotated[
    dict[str, Any], AfterValidator(_Options), PlainSerializer(lambda options: dict.fromkeys(options, "**********"))
]


class TargetSettings(Section):
    """One destination."""

    kind: str | None = Field(None, description="Which target it is, where its name does not say so: a second one.")
    via: Annotated[Literal["auto", "amqp", "rest", "off"], BeforeValidator(_off)] = Field(
        "auto", description="How it is reached; `off` turns it off."
    )
    origins: Annotated[list[Origin], NoDecode, BeforeValidator(_split)] = Field(
        [Origin.LIVE], description="Origins whose changes are delivered."
    )
    url: Annotated[str | None, AfterValidator(_is_target_url)] = Field(
        None, description="Where it is: http(s)://…, for a target over AMQP amqp(s)://host:port/vhost."
    )
    token: SecretStr | None = Field(None, description="What we sign in with: sent as a bearer token.")
    token_file: Path | None = Field(None, description="File with that token; read again when it changes.")
    username: str | None = Field(None, description="User to sign in as, where the target asks for one.")
    password: SecretStr | None = Field(None, description="That user's password.")
    password_file: Path | None = Field(None, description="File with that password; read again when it changes.")
    secret_file: Path | None = Field(
        None,
        description="File with the secrets by which what is sent is signed, one a line; read again when it changes.",
    )
    ca_file: Path | None = Field(None, description="Certificates (PEM) that the target's certificate must lead to.")
    options: Options = Field({}, description="What this target alone can be told, as JSON.")
    event_source_service: str = Field("Catalog Mirror", description="How our own lineage events are marked.")
    user_id: str = Field("catalog-mirror", description="`user_id` of our lineage events.")
    account_id: str = Field("999", description="`account_id` of our lineage events.")
    event_types: dict[str, str] = Field({}, description="Change → `event_type`, where the default does not suit.")


class OpenLineageSettings(Section):
    """How the catalog's lineage is told in OpenLineage, and OpenLineage in the catalog's."""

    producer: str = Field("urn:catalog-mirror", description="URI that says who tells of the catalog's lineage.")
    names: dict[str, Any] = Field(
        {}, description="Type of connection → how its data sets are called, as JSON; docs/lineage.md has the rules."
    )
    column_relationships: Names = Field(
        [], description="Relationships between columns that mean that one goes into the other."
    )


class LineageSettings(Section):
    """How lineage knows data sets."""

    names: list[Any] = Field(
        [],
        description="Rules, in their order, for producers that call a data set otherwise than others do, as JSON: "
        '[{"namespace": "…", "name": "…", "to_namespace": "…", "to_name": "…"}]; docs/lineage.md has their form.',
    )


class HttpSettings(Section):
    """What the service shows over HTTP."""

    host: str = Field("0.0.0.0", description="Address of the probes and metrics, and of the API once it has tokens.")
    port: int = Field(8080, ge=0, le=65535, description="Port of /livez, /readyz and /metrics.")
    api_port: int = Field(
        8081, ge=0, le=65535, description="Port of the API: loopback only and read-only as long as it has no tokens."
    )
    admin_host: str = Field(
        "127.0.0.1", description="Address of the admin API, apart from the API's, so that networks can be kept apart."
    )
    admin_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the admin API, which needs tokens, and `operate`. Unset: it is off."
    )
    tokens_file: Path | None = Field(
        None, description="YAML file with named tokens and their scopes; read again when it changes."
    )
    oidc_issuer: Annotated[str | None, AfterValidator(_is_http_url)] = Field(
        None, description="Who issues JSON Web Tokens that the API takes."
    )
    oidc_audience: str | None = Field(None, description="Whom those tokens are for: their `aud`.")
    oidc_jwks_url: Annotated[str | None, AfterValidator(_is_http_url)] = Field(
        None, description="Where the issuer's keys are. Unset: as the issuer's openid-configuration says."
    )
    oidc_ca_file: Path | None = Field(
        None, description="Certificates (PEM) that the issuer's certificate must lead to."
    )
    oidc_client_id: str | None = Field(
        None, description="As whom the issuer knows the console, where people sign in with it; needs OIDC_REDIRECT_URL."
    )
    oidc_client_secret: SecretStr | None = Field(None, description="Its secret. Unset: a public client, by PKCE alone.")
    oidc_redirect_url: Annotated[str | None, AfterValidator(_is_http_url)] = Field(
        None, description="Where the issuer sends people back to, as it is registered there: `https://…/signin/done`."
    )
    oidc_scopes: str = Field(
        "openid profile", description="What the console asks the issuer for, with spaces between; openid among it."
    )
    oidc_scope_claim: str = Field("scope", description="Claim that holds the scopes: text with spaces, or a list.")
    oidc_scope_prefix: str = Field("", description="What the issuer puts before our scopes, such as `mirror:`.")
    session_s: Duration = Field(
        8 * 3600,
        alias="session",
        gt=0,
        le=7 * 86400,
        description="How long somebody stays signed in at the console: 8h.",
    )
    max_body_bytes: int = Field(4 * 1024**2, ge=1024, description="Larger bodies are refused.")
    max_batch: int = Field(1000, ge=1, le=100_000, description="Events of one request at most.")
    answer_within_s: float = Field(
        4,
        gt=0,
        description="Seconds after which whoever posts is told to send it again; OpenLineage's clients wait for 5.",
    )
    max_edges: int = Field(
        50_000, ge=10, description="Edges that one question may read, and a tenth of it the assets of one event."
    )


class ContractSettings(Section):
    """How the shapes of the catalog's events and answers are watched."""

    sample: int = Field(
        100, ge=0, description="One event of a topic, or answer of an endpoint, in so many is looked at; 0: none."
    )
    learn_s: Duration = Field(
        7 * 86_400,
        alias="learn",
        ge=0,
        description="What a source has within so long, and in its first hundred samples, is its normal: 7d.",
    )


class SearchSettings(Section):
    """How things are made findable."""

    index: bool = Field(True, description="Follow what is mirrored, so that search finds it.")
    share: float = Field(
        0.1, gt=0, le=1, description="Share of the time that following may take while much is new: 0.1 is a tenth."
    )


class LogSettings(Section):
    """What the service says."""

    level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        "info", description="Least important line shown."
    )
    format: Literal["auto", "console", "json"] = Field("auto", description="auto: console on a terminal, else JSON.")


class TracesSettings(Section):
    """Where traces go: the way of a message, or of a call, through all parts. Needs the extra `otel`."""

    endpoint: Annotated[str | None, AfterValidator(_is_http_url)] = Field(
        None, description="An OpenTelemetry collector that takes OTLP over HTTP: `http://collector:4318`. Unset: off."
    )
    sampled: float = Field(
        0.01, ge=0, le=1, description="Share of the traces that begin here; one that began elsewhere says so itself."
    )
    headers: SecretStr | None = Field(
        None, description="Headers that the collector asks for: `name=value, name=value`."
    )
    ca_file: Path | None = Field(None, description="Certificates (PEM) that the collector's certificate must lead to.")
    timeout_s: float = Field(10, gt=0, description="Seconds after which the collector has not taken what was sent.")
