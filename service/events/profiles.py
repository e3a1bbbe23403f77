"""Events of data profiles: the envelope that the catalog publishes, read into one typed event.

The documented messages are told in docs/contract.md, "Data profile messages".
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import structlog

from service.changes import Container, Rank, Version
from service.errors import EmptyProfileEvent
from service.events.fields import Body, ContainerFields, first_id, key_id, require_id, typed
from service.events.message import Event
from service.text import lookup
from service.text.documents import Document, canonical, digest_of, documents_of
from service.text.times import read_time

log = structlog.get_logger(__name__)

#: Fields of a profile that change without the profile changing: they are data, but no news.
VOLATILE: tuple[tuple[str, ...], ...] = (
    ("href",),
    ("metadata", "url"),
    ("metadata", "accessed_at"),
    ("metadata", "last_accessed_at"),
    ("metadata", "usage"),
)
#: Where the profile's id stands in `v2.data_profiles.{id}.POST`.
KEY_ID_INDEX = 2


class _Actor(Body, frozen=True):
    user_name: str | None = None


class _Details(ContainerFields, frozen=True):
    profile_id: str | None = None
    dataset_id: str | None = None
    is_governed: bool | None = None


class _Metadata(ContainerFields, frozen=True):
    guid: str | None = None
    asset_id: str | None = None
    dataset_id: str | None = None
    owner_id: str | None = None
    created_at: Any = None


class _Execution(Body, frozen=True):
    status: str | None = None
    dataflow_run_id: Any = None


class _DataProfile(Body, frozen=True):
    execution: _Execution | None = None
    columns: list[Any] | None = None
    attachment_id: Any = None


class _Entity(Body, frozen=True):
    data_profile: _DataProfile | None = None


class _State(Body, frozen=True):
    metadata: _Metadata | None = None
    entity: _Entity | None = None


class _ProfileMessage(Body, frozen=True):
    event: str | None = None
    actor: _Actor | str | None = None
    published: Any = None
    url: str | None = None
    status_code: int | str | None = None
    state: _State | None = None
    details: _Details | None = None


#: What is read where something is not there.
_NO_DETAILS, _NO_METADATA, _NO_PROFILE, _NO_EXECUTION = _Details(), _Metadata(), _DataProfile(), _Execution()


class ProfileEvent(msgspec.Struct, frozen=True):
    """One profile message: ids and container settled, state still as it was sent.

    Where key, `details` and `state` disagree, details win, then state, then key. `state` is None in a message that
    carries `details` only.
    """

    BODY: ClassVar[type[Body]] = _ProfileMessage

    profile_id: str
    asset_id: str | None
    container: Container | None
    at_us: int | None
    state: dict[str, Any] | None
    status: str | None
    created_at_us: int | None
    owner_id: str | None
    columns: list[Any] | None
    run_id: str | None
    attachment_id: str | None
    is_new: bool

    @classmethod
    def read(cls, event: Event) -> ProfileEvent:
        """Read the envelope.

        Raises:
            FieldInvalid: a field has the wrong type, or no profile id is given anywhere.
            EmptyProfileEvent: neither `state` nor `details` is there.
        """
        envelope = typed(_ProfileMessage, event.body, "")
        if envelope.state is None and envelope.details is None:
            raise EmptyProfileEvent()
        details = envelope.details or _NO_DETAILS
        metadata = (envelope.state and envelope.state.metadata) or _NO_METADATA
        profile = (envelope.state and envelope.state.entity and envelope.state.entity.data_profile) or _NO_PROFILE
        execution = profile.execution or _NO_EXECUTION
        in_key = key_id(event.words, KEY_ID_INDEX)
        profile_id = require_id(
            ("details.profile_id", details.profile_id),
            ("state.metadata.guid", metadata.guid),
            ("state.metadata.asset_id", metadata.asset_id),
            ("routing key", in_key),
        )
        if in_key not in (None, profile_id):
            log.debug("profile_key_disagrees", routing_key=event.routing_key, profile_id=profile_id)
        return cls(
            profile_id=profile_id,
            asset_id=first_id(
                ("details.dataset_id", details.dataset_id), ("state.metadata.dataset_id", metadata.dataset_id)
            ),
            container=details.container("details") or metadata.container("state.metadata"),
            at_us=read_time(envelope.published, "published"),
            state=event.body.get("state"),
            status=execution.status,
            created_at_us=read_time(metadata.created_at, "state.metadata.created_at"),
            owner_id=metadata.owner_id,
            columns=profile.columns,
            run_id=lookup.text(execution.dataflow_run_id),
            attachment_id=lookup.text(profile.attachment_id),
            is_new=event.words[-1:] == ("POST",),
        )

    def saved(self, state: dict[str, Any]) -> tuple[Document, Version]:
        """The state as it is kept, and its version; what `details` alone say breaks the last tie."""
        kept, steady = documents_of(state, VOLATILE)
        return kept, Version(self.at_us, Rank.EVENT, steady, digest_of(kept.digest + self._place()))

    def deleted(self) -> Version:
        """The version of a deletion."""
        return Version(self.at_us, Rank.DELETED, whole=digest_of(self._place()))

    def _place(self) -> bytes:
        """Data set and container: columns of the row that the state need not carry."""
        return canonical([self.asset_id, self.container and [self.container.kind, self.container.id]])
