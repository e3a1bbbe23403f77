"""Events of data profiles: the envelope that the catalog publishes, read into one typed event.

The documented messages are told in docs/contract.md, "Data profile messages".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import structlog

from service.changes import Container, Rank, Version
from service.errors import EmptyProfileEvent
from service.events.fields import Body, ContainerFields, Id, key_id, require_id, typed
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


class _Actor(Body):
    user_name: str | None = None


class _Details(ContainerFields):
    profile_id: Id | None = None
    dataset_id: Id | None = None
    is_governed: bool | None = None


class _ProfileMessage(Body):
    event: str | None = None
    actor: _Actor | str | None = None
    published: Any = None
    url: str | None = None
    status_code: int | str | None = None
    state: dict[str, Any] | None = None
    details: _Details | None = None


class _Metadata(ContainerFields):
    guid: Id | None = None
    asset_id: Id | None = None
    dataset_id: Id | None = None
    owner_id: str | None = None
    created_at: Any = None


class _Execution(Body):
    status: str | None = None
    dataflow_run_id: Any = None


class _DataProfile(Body):
    execution: _Execution | None = None
    columns: list[Any] | None = None
    attachment_id: Any = None


class _Entity(Body):
    data_profile: _DataProfile | None = None


class _State(Body):
    metadata: _Metadata = _Metadata()
    entity: _Entity = _Entity()


@dataclass(frozen=True, slots=True)
class ProfileEvent:
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
        details = envelope.details or _Details()
        state = typed(_State, _without_nulls(envelope.state or {}), "state")
        in_state = state.metadata.guid or state.metadata.asset_id
        in_key = key_id(event.words, KEY_ID_INDEX)
        profile_id = require_id((details.profile_id, in_state, in_key), "details.profile_id")
        if in_key not in (None, profile_id):
            log.debug("profile_key_disagrees", routing_key=event.routing_key, profile_id=profile_id)
        profile = state.entity.data_profile or _DataProfile()
        return cls(
            profile_id=profile_id,
            asset_id=details.dataset_id or state.metadata.dataset_id or None,
            container=details.container() or state.metadata.container(),
            at_us=read_time(envelope.published, "published"),
            state=envelope.state,
            status=profile.execution.status if profile.execution else None,
            created_at_us=read_time(state.metadata.created_at, "state.metadata.created_at"),
            owner_id=state.metadata.owner_id,
            columns=profile.columns,
            run_id=lookup.text(profile.execution.dataflow_run_id) if profile.execution else None,
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


def _without_nulls(state: dict[str, Any]) -> dict[str, Any]:
    """`"metadata": null` says no more than a missing one."""
    return {key: value for key, value in state.items() if value is not None}
