"""Data profiles: what the catalog found out about the values of a data set."""

from __future__ import annotations

from collections.abc import Iterator

from service.changes import Change, ProfileDeleted, ProfileMentioned, ProfileSaved, RefreshAsked
from service.events.fields import column_count
from service.events.figures import findings_in
from service.events.profiles import ProfileEvent
from service.pipeline.routing import Evidence, handles


@handles("v2.data_profiles.*.POST", "v2.data_profiles.*.PATCH", reads=ProfileEvent.read, evidence=Evidence.DOCUMENTED)
def profile_saved(event: ProfileEvent) -> Iterator[Change]:
    """The message carries the whole profile, also after a PATCH (docs/contract.md, "Data profile messages")."""
    if event.state is None:
        yield ProfileMentioned(event.profile_id, event.asset_id, event.container)
        yield RefreshAsked("data_profile", event.profile_id, event.container, reason="details_only")
        return
    kept, version = event.saved(event.state)
    yield ProfileSaved(
        profile_id=event.profile_id,
        version=version,
        document=kept,
        asset_id=event.asset_id,
        container=event.container,
        status=event.status,
        created_at_us=event.created_at_us,
        owner_id=event.owner_id,
        column_count=column_count(event.columns, event.attachment_id),
        is_new=event.is_new,
        run_id=event.run_id,
        attachment_id=event.attachment_id,
        findings=findings_in(event.columns),
    )


@handles("v2.data_profiles.*.DELETE", reads=ProfileEvent.read, evidence=Evidence.ASSUMED)
def profile_deleted(event: ProfileEvent) -> Iterator[Change]:
    """No such message is documented; should there be one, it deletes."""
    yield ProfileDeleted(event.profile_id, event.deleted(), event.asset_id, event.container)
