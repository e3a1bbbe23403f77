"""The messages that the catalog is documented to send, and one that is only known from brokers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from sandbox.catalog.assets import Life, Record
from sandbox.catalog.clock import Clock, iso_seconds, to_millis
from sandbox.catalog.containers import ACCOUNT, Container
from sandbox.catalog.knobs import Knobs

#: Takes a routing key and a body.
Sink = Callable[[str, bytes], None]


class Announcer:
    """Says what happened, to whoever `sink` is at the moment."""

    def __init__(self, clock: Clock, knobs: Knobs) -> None:
        self._clock, self._knobs = clock, knobs
        self.sink: Sink | None = None

    def profile(self, state: dict[str, Any], container: Container, *, created: bool) -> None:
        """A profile was created or changed; the message carries all of it. Nothing tells of its deletion."""
        profile_id = state["metadata"]["guid"]
        body = {
            "event": "CREATE_DATA_PROFILE" if created else "UPDATE_DATA_PROFILE",
            "actor": {"user_name": "dana@example.com"},
            "published": iso_seconds(self._clock.now()),
            "url": state["href"],
            "status_code": 201 if created else 200,
            "state": state,
            "details": {
                f"{container.kind}_id": container.id,
                "dataset_id": state["metadata"]["dataset_id"],
                "profile_id": profile_id,
                "is_governed": container.is_governed,
            },
        }
        self._say(f"v2.data_profiles.{profile_id}.{'POST' if created else 'PATCH'}", body)

    def enrichment_area(self, area_id: str, assets: list[str]) -> None:
        """An enrichment area was created with a data scope; the model of the body is not documented (assumed)."""
        body = {"mdeAreaId": area_id, "status": "SUCCEEDED", "assetIds": assets}
        self._say(f"v2.metadata_enrichment.{area_id}.create_enrichment_area", body)

    def asset_changed(self, _before: Record | None, after: Record) -> None:
        """A watcher of the truth: the search feed, where it is switched on; its word for no deletion is assumed."""
        if not self._knobs.search_feed:
            return
        body = {
            "provider_type_id_list": ["cams"],
            "artifact_guid": after.asset_id,
            "last_updated_at": to_millis(self._clock.now()),
            "message_type": "UPDATE_MESSAGE" if after.life is Life.LIVE else "DELETE_MESSAGE",
            "tenant_id_list": [ACCOUNT],
        }
        self._say("v3.gss.cams.assets.action", body)

    def _say(self, routing_key: str, body: dict[str, Any]) -> None:
        if self.sink is not None:
            self.sink(routing_key, msgspec.json.encode(body))
