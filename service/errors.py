"""One error tree. A class says how the engine reacts; its docstring is the message, its remedy what to do.

* `DataError`: this event cannot succeed as it is; it becomes a dead letter.
* `TransientError`: the same event will succeed later; the part pauses, nothing is dead-lettered.
* `ConfigurationError`: a person must change something; the command ends with exit code 2.
"""

from __future__ import annotations

from typing import Any, ClassVar


class MirrorError(Exception):
    """Something went wrong."""

    remedy: ClassVar[str] = ""
    #: How a dead letter or a log line names the family of this error.
    error_class: ClassVar[str] = "error"

    def __init__(self, **details: Any) -> None:
        self.details = details
        super().__init__((self.__doc__ or "").split("\n\n")[0].strip().format(**details))

    def advice(self) -> str:
        """What to do, in one sentence; empty where the message says it all."""
        return self.remedy.format(**self.details)


class DataError(MirrorError):
    """The event cannot be used as it is."""

    error_class = "data"


class BodyTooLarge(DataError):
    """The body has {size} bytes, more than the {limit} that PIPELINE__MAX_BODY_BYTES allows."""

    error_class = "body_too_large"
    remedy = "Raise CATALOG_MIRROR_PIPELINE__MAX_BODY_BYTES, or discard the dead letter."


class NestingTooDeep(DataError):
    """The body nests deeper than the {limit} levels that PIPELINE__MAX_DEPTH allows."""

    error_class = "nesting_too_deep"
    remedy = "Raise CATALOG_MIRROR_PIPELINE__MAX_DEPTH, or discard the dead letter."


class NotUtf8(DataError):
    """The body is not UTF-8 text (byte {position} cannot be decoded)."""

    error_class = "undecodable"
    remedy = "Ask who publishes this topic to send UTF-8 JSON."


class NotJson(DataError):
    """The body is not JSON: {problem}."""

    error_class = "not_json"
    remedy = "Ask who publishes this topic to send JSON; edit and replay the dead letter if it can be mended."


class NotAnObject(DataError):
    """The body is JSON but {found}, not an object."""

    error_class = "not_an_object"
    remedy = "Route this topic to `ignore` if its messages are meant to look like this."


class FieldInvalid(DataError):
    """The field {field} is not usable: {problem}."""

    error_class = "field"
    remedy = "Correct the field and replay the dead letter, or report the catalog's new format."


class EmptyProfileEvent(DataError):
    """The profile event carries neither `state` nor `details`, so it says nothing about any profile."""

    error_class = "empty_event"
    remedy = "Discard the dead letter; a reconcile brings the profile in."


class EventFromTheFuture(DataError):
    """The event says it happened at {at}, more than a day ahead of this machine's clock."""

    error_class = "future"
    remedy = "Compare the clocks of the catalog and of this machine, then replay the dead letter."


class LineInvalid(DataError):
    """The line is no recorded message: {problem}."""

    error_class = "line"
    remedy = 'A line is {{"routing_key": "…", "body": …}} or has "body_base64"; see docs/replay.md.'


class UsageLineInvalid(DataError):
    """The line tells no use of an asset: {problem}."""

    error_class = "usage_line"
    remedy = 'A line is {{"who": "…", "what": "…", "when": "…"}}; see docs/collibra.md.'


class StoreRefusedRow(DataError):
    """The store refuses a row of this event: {problem}."""

    error_class = "store_refused"
    remedy = "Read the reason; if the mirror's schema is at fault, upgrade and replay the dead letter."


class HandlerFailed(DataError):
    """The handler {handler} failed with {problem}."""

    error_class = "handler_failed"
    remedy = "This is a bug of the handler: mend it, deploy, and replay the dead letters of this class."


class PoisonSuspect(DataError):
    """The event was in hand, alone, {met} times when the process died, or a process that only read it died too."""

    error_class = "poison"
    remedy = "Look for what kills the process (memory, a native crash) before replaying the dead letter."


class TransientError(MirrorError):
    """It did not work now and may work later."""

    error_class = "transient"


class StoreUnavailable(TransientError):
    """The store cannot be used: {problem}."""

    error_class = "store"
    remedy = "Check that {where} is up, reachable and writable; the service goes on by itself when it is."


class StoreLinkRefused(StoreUnavailable):
    """The store cannot be used: {problem}."""

    remedy = "{ask}"


class StoreIncomplete(StoreUnavailable):
    """The store at {where} lacks a table or column that this version needs: {problem}."""

    error_class = "schema"
    remedy = (
        "Run `catalog-mirror db upgrade`. Where that finds nothing to do, somebody dropped it by hand: restore it from "
        "a backup, or begin with an empty database; the service goes on by itself when it is there."
    )


class SchemaLocked(TransientError):
    """The schema of {where} could not be changed: {holders} kept its tables locked for {waited_s} seconds."""

    error_class = "schema"
    remedy = (
        "End that session, or wait until it is done, and run it again (`catalog-mirror db upgrade`, or what was run "
        "instead); nothing was changed."
    )


class SchemaMissing(TransientError):
    """The store at {where} has schema revision {found}, this version needs {needed}."""

    error_class = "schema"
    remedy = "Run `catalog-mirror db upgrade`."


class BrokerUnavailable(TransientError):
    """The broker cannot be used: {problem}."""

    error_class = "broker"
    remedy = "Check that {where} is up and reachable; the service goes on by itself when it is."


class BrokerLinkEnded(BrokerUnavailable):
    """The broker cannot be used: {problem}."""

    remedy = "{ask}"


class QueueSilent(BrokerUnavailable):
    """The broker does not let us consume {queue!r}: it has not answered for {seconds:g} seconds."""

    remedy = (
        "Most members of the queue may be down: `rabbitmq-queues quorum_status {queue}` says. "
        "The service goes on by itself when they are back."
    )


class QueueWithoutMajority(BrokerUnavailable):
    """Of the {members} members of the queue {queue!r} only {online} are at work: nothing comes out, or in."""

    remedy = "Start the broker's other nodes; the service goes on by itself when more than half of them are back."


class MessagesHeld(TransientError):
    """{messages} messages of the queue {queue!r} were neither ready nor in our hands for {seconds:g} seconds."""

    error_class = "held"
    remedy = (
        "A broker's node that is away keeps what its consumer had in hand for a while (RabbitMQ 4.3: "
        "`consumer-disconnected-timeout`): bring it back, or wait. Else somebody else reads our queue: "
        "`rabbitmqctl list_consumers -p {vhost}` names whom to ask."
    )


class ManagementUnavailable(TransientError):
    """The broker's management API at {where} cannot be used: {problem}."""

    error_class = "management"
    remedy = (
        "Correct CATALOG_MIRROR_AMQP__MANAGEMENT_URL, whose user needs the tag `management` and our vhost, or unset "
        "it: without it nobody sees that the queue is full, was purged or drops messages."
    )


class TopologyMissing(TransientError):
    """{what} on vhost {vhost!r}."""

    error_class = "topology"
    remedy = "{ask}"


class TargetUnavailable(TransientError):
    """The target {target} cannot be reached: {problem}."""

    error_class = "target"
    remedy = "Nothing is lost: deliveries wait in the store until it answers."


class AnswerLost(TargetUnavailable):
    """The target {target} was sent something and did not answer: {problem}."""


class Unroutable(TransientError):
    """The broker has no queue for the key {routing_key!r} of exchange {exchange!r}: deliveries wait."""

    error_class = "unroutable"
    remedy = (
        "Whoever wants this lineage binds a queue to exchange {exchange!r} with {binding!r}; "
        "set TARGETS__CATALOG_LINEAGE__VIA=off if nobody does."
    )


class CatalogUnreachable(TransientError):
    """The catalog does not answer {call}: {problem}."""

    error_class = "catalog"
    remedy = "Check that {where} is up and reachable from here; the service goes on by itself when it is."


class CatalogFailed(TransientError):
    """The catalog fails at {call}: {problem}."""

    error_class = "catalog_failed"
    remedy = "It is tried again by itself. If it stays, tell the catalog's operator the trace."


class CatalogBusy(TransientError):
    """The catalog has had too many calls for now, it refuses {call}: {problem}."""

    error_class = "catalog_busy"
    remedy = "It is tried again by itself. If it stays, lower CATALOG_MIRROR_CATALOG__CALLS_PER_MINUTE."


class CatalogRefused(TransientError):
    """The catalog does not accept our credentials at {call}: {problem}."""

    error_class = "catalog_credentials"
    remedy = "Check {setting}, or the file that its …_FILE names; a changed file is read again by itself."


class NotReadYet(TransientError):
    """The catalog answers, but not about {what} yet."""

    error_class = "not_read_yet"
    remedy = "It is tried again by itself; its search shows new assets only after a while."


class ReadingFailed(MirrorError):
    """Reading the catalog ({what}) met an error that nobody foresaw: {problem}."""

    error_class = "reading_failed"
    remedy = "It is tried again by itself. Please report it with the log around `reading_failed`."


class CatalogForbidden(TransientError):
    """The catalog does not allow us {call}: {problem}."""

    error_class = "catalog_forbidden"
    remedy = "Make the account that we sign in with a member there; a viewer may read, an editor may write lineage."


class CatalogNotFound(DataError):
    """The catalog has nothing at {call}: {problem}."""

    error_class = "catalog_not_found"
    remedy = "It was deleted or never was; if nothing at all is found, check CATALOG_MIRROR_CATALOG__URL."


class CatalogGone(DataError):
    """What {call} asks for is gone from the catalog: {problem}."""

    error_class = "catalog_gone"
    remedy = "It was deleted; a reconcile takes it out of the mirror."


class CatalogRejected(DataError):
    """The catalog cannot use {call}: {problem}."""

    error_class = "catalog_rejected"
    remedy = "If it names a query parameter, give its right name in CATALOG_MIRROR_CATALOG__PARAMETERS."


class CatalogAnswerInvalid(TransientError):
    """The catalog's answer to {call} cannot be used: {problem}."""

    error_class = "catalog_answer"
    remedy = "Look for a proxy that answers in the catalog's place; else the catalog's format changed: report it."


class CatalogAnswerTooLarge(DataError):
    """The catalog's answer to {call} has more than the {limit} bytes that CATALOG__MAX_ANSWER_BYTES allows."""

    error_class = "catalog_answer_too_large"
    remedy = "Raise CATALOG_MIRROR_CATALOG__MAX_ANSWER_BYTES; answers are held in memory."


class CatalogLeadsElsewhere(TransientError):
    """The catalog redirects {call} to {place}, where our token must not go."""

    error_class = "catalog_redirect"
    remedy = "Set CATALOG_MIRROR_CATALOG__URL to {place} if that is the catalog."


class DocumentRefused(DataError):
    """The profile's document is at {place}, where it is not read: {problem}."""

    error_class = "document_refused"
    remedy = "If that is your catalog's storage, name it in CATALOG_MIRROR_SYNC__PROFILE_DOCUMENT_HOSTS."


class DocumentTooLarge(DataError):
    """The profile's document has more than the {limit} bytes that SYNC__PROFILE_DOCUMENT_MAX_BYTES allows."""

    error_class = "document_too_large"
    remedy = "Raise CATALOG_MIRROR_SYNC__PROFILE_DOCUMENT_MAX_BYTES; a document is held in memory while it is read."


class DocumentUnusable(DataError):
    """The profile's document cannot be used: {problem}."""

    error_class = "document"
    remedy = "Have the data asset profiled again; the figures that the profile itself carries stay."


class DocumentUnavailable(TransientError):
    """The profile's document at {host} cannot be had: {problem}."""

    error_class = "document_unavailable"
    remedy = "It is tried again by itself. Check that the catalog's storage can be reached from here."


class DocumentExpired(TransientError):
    """The signed URL of the profile's document at {host} is refused with {status}."""

    error_class = "document_expired"
    remedy = "A new one is asked for by itself; if it stays, the clocks of the storage and the catalog differ."


class CursorInvalid(DataError):
    """The place to go on from does not belong to the listing {listing}: {problem}."""

    error_class = "cursor"
    remedy = "Start this listing anew."


class DeliveryRejected(DataError):
    """The target {target} refuses the delivery for good: {problem}."""

    error_class = "rejected"
    remedy = "Mend the cause, then `catalog-mirror dead-letters replay`."


class DeliveryTooOld(DataError):
    """The delivery has waited for {target} longer than RELAY__MAX_AGE allows: {problem}."""

    error_class = "too_old"
    remedy = "See to the target (`catalog-mirror targets list`), then `catalog-mirror dead-letters replay`."


class ConfigurationError(MirrorError):
    """The settings cannot be used."""

    error_class = "settings"


class SettingInvalid(ConfigurationError):
    """{setting} is not usable: {problem}."""

    remedy = "`catalog-mirror docs settings` lists every setting."


class CertificateUnusable(SettingInvalid):
    """{setting} is not usable: {problem}."""

    remedy = "{ask}"


class PackageUnusable(ConfigurationError):
    """{what!r} of the package {package} cannot be imported: {problem}."""

    remedy = (
        "If a folder called {folder!r} on PYTHONPATH or in the current directory stands before the installed one, "
        "rename it or take it off the path; else mend or uninstall the package."
    )


class NothingToConsume(ConfigurationError):
    """Neither a broker nor a catalog is set, nor tokens for the API, so there is nothing to consume or to read."""

    remedy = (
        "Set CATALOG_MIRROR_AMQP__URL to amqp:// or amqps:// with user, password, host and vhost, or "
        "CATALOG_MIRROR_CATALOG__URL and CATALOG__API_KEY to poll the catalog without a broker."
    )


class UsageError(ConfigurationError):
    """{problem}."""

    remedy = "{advice}"

    def __init__(self, problem: str, advice: str = "`--help` shows what there is.") -> None:
        super().__init__(problem=problem, advice=advice)


class StoreNotWritable(ConfigurationError):
    """The store {where} cannot be written: {problem}."""

    remedy = "Create its directory and let user {user} write there, or set CATALOG_MIRROR_STORE__URL elsewhere."


class QueryInvalid(MirrorError):
    """{problem}."""

    error_class = "invalid_parameter"
    remedy = "{advice}"

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem=problem, advice=advice)


class RehearsalFailed(MirrorError):
    """The {side} side could not be rehearsed: {problem}."""

    error_class = "rehearsal"
    remedy = "{advice}"


class BrakePulled(MirrorError):
    """{failed} of the last {seen} events would have become dead letters, so consuming has stopped."""

    error_class = "brake"
    remedy = (
        "This points at our bug or a changed catalog. Look at `catalog-mirror dead-letters list`, then "
        "`catalog-mirror resume`; nothing is lost, the events wait in the queue."
    )


class MassDeletion(MirrorError):
    """The reconcile would delete {what}: more than may go without a person, so none of it was deleted."""

    error_class = "mass_deletion"
    remedy = (
        "Look whether they are really gone from the catalog, or whether a role was lost; "
        "then run `catalog-mirror reconcile --repair --accept-deletions`."
    )


class RunFailed(MirrorError):
    """The {mode} failed: {problem}"""

    error_class = "run_failed"
