"""The feed of the catalog's search index: hints of what changed or was deleted.

Not in the vendor's documents but seen on brokers (docs/contract.md, "Search feed").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from service.events.fields import Body, require_id, typed
from service.events.message import Event
from service.text.times import read_time

#: The provider that stands for assets of catalogs, projects and spaces.
ASSET_PROVIDER = "cams"


class _Feed(Body, frozen=True):
    provider_type_id_list: list[str] | None = None
    artifact_guid: str | None = None
    last_updated_at: Any = None
    message_type: str | None = None
    tenant_id_list: list[str | int] | None = None


@dataclass(frozen=True, slots=True)
class SearchHint:
    """Something about one artifact changed in the search index."""

    BODY: ClassVar[type[Body]] = _Feed

    artifact_id: str
    at_us: int | None
    deleted: bool
    is_asset: bool
    tenants: tuple[str, ...]

    @classmethod
    def read(cls, event: Event) -> SearchHint:
        """Read the feed's body.

        Raises:
            FieldInvalid: a field has the wrong type, or no artifact is named.
        """
        feed = typed(_Feed, event.body, "")
        providers = feed.provider_type_id_list
        return cls(
            artifact_id=require_id(("artifact_guid", feed.artifact_guid)),
            at_us=read_time(feed.last_updated_at, "last_updated_at"),
            deleted="DELETE" in (feed.message_type or "").upper(),
            is_asset=not providers or ASSET_PROVIDER in providers,
            tenants=tuple(tenant_id(tenant) for tenant in feed.tenant_id_list or ()),
        )


def tenant_id(value: str | int) -> str:
    """A tenant id without the padding (blanks or zeros, to 32 characters) that some messages carry."""
    text = str(value).strip()
    return text.lstrip("0") or "0" if len(text) == 32 and text.isdigit() else text
