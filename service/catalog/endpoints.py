"""The calls to the catalog that are no listing of a kind, one function each (docs/contract.md, "Calls").

Listings are declared in `service.kinds` and read by `listings`. What is one thing is answered with the moment that it
is from. All may raise what `CatalogClient.call` raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from service.catalog import paging, search
from service.catalog.answer import Answer
from service.catalog.client import CatalogClient, Request
from service.catalog.listings import segment
from service.catalog.paging import Listing, Pages
from service.changes import Container

#: Cards in one bulk reading at most.
BULK_MAX = 20

_Value = str | int | bool | None


@dataclass(frozen=True, slots=True)
class BulkItem:
    """One card of a bulk reading; `status` is its own HTTP status, and only with 200 there is a card."""

    asset_id: str
    status: int
    card: dict[str, Any] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bulk:
    """Several cards, read in one call."""

    items: list[BulkItem]
    at_us: int | None


# Containers.


async def container(client: CatalogClient, which: Container) -> Answer:
    """One catalog, project or space."""
    return await client.call(_get(client, which.kind, f"/v2/{which.kind}s/{segment(which.id)}"))


# Assets.


async def moment(client: CatalogClient, which: Container | None) -> int | None:
    """The catalog's clock, by the least call that shows whether the content of a container can be read."""
    if which is None:
        return (await client.call(_get(client, "catalogs", "/v2/catalogs", limit=1))).at_us
    body = {"query": "*:*", "limit": 1}
    return (await client.call(_post(client, "assets", "/v2/asset_types/asset/search", body, which))).at_us


async def card(client: CatalogClient, which: Container, asset_id: str) -> Answer:
    """One card; `CatalogNotFound` also where it is in the trash."""
    return await client.call(_get(client, "card", f"/v2/assets/{segment(asset_id)}", which, **_denied(client)))


async def cards(client: CatalogClient, which: Container, asset_ids: Sequence[str]) -> Bulk:
    """Up to `BULK_MAX` cards. The call succeeds though cards fail: look at each one's status."""
    if not 1 <= len(asset_ids) <= BULK_MAX:
        raise ValueError(f"1 to {BULK_MAX} ids, not {len(asset_ids)}")
    asked = {"asset_ids": ",".join(asset_ids), **_denied(client)}
    answer = await client.call(_get(client, "cards", "/v2/assets/bulk", which, **asked))
    told = [item for item in answer.listed("resources") if isinstance(item, dict)]
    found = {item.asset_id: item for item in (_bulk_item(answer, item) for item in told)}
    missing = [asset_id for asset_id in asset_ids if asset_id not in found]
    if missing:
        raise answer.unusable(f"it says nothing of {len(missing)} of {len(asset_ids)} cards, of {missing[0][:80]!r}")
    return Bulk([found[asset_id] for asset_id in asset_ids], answer.at_us)


def _bulk_item(answer: Answer, item: dict[str, Any]) -> BulkItem:
    asset_id, status, asset = item.get("asset_id"), item.get("http_status"), item.get("asset")
    if not isinstance(asset_id, str) or not isinstance(status, int):
        raise answer.unusable("an item of it has no `asset_id` or no `http_status`")
    if status == 200 and not isinstance(asset, dict):
        raise answer.unusable("an item of it has status 200 and no `asset`")
    return BulkItem(asset_id, status, asset if status == 200 else None)


async def attachment(client: CatalogClient, which: Container, asset_id: str, attachment_id: str) -> Answer:
    """Where an attachment is. The answer holds a signed URL, which is a secret: redact it before it goes anywhere."""
    path = f"/v2/assets/{segment(asset_id)}/attachments/{segment(attachment_id)}"
    return await client.call(_get(client, "attachment", path, which))


def modified_assets(
    client: CatalogClient, since: str | None, which: Container | None = None, *, cursor: str | None = None
) -> Pages:
    """What global search knows of assets modified at or after a moment (ISO 8601), oldest first.

    Its index lags behind the catalog, and it repeats what was modified at the moment where one query of it ends.
    """
    first = _post(client, "modified_assets", "/v3/search", search.modified_query(since, which))
    return paging.walk(client, Listing("modified_assets", first, "rows", search.Window(), "size"), cursor)


def searched(client: CatalogClient, artifact_type: str) -> Pages:
    """What global search knows of a type. Its index lags behind the catalog."""
    first = _post(client, "searched", "/v3/search", search.typed_query(artifact_type))
    return paging.walk(client, Listing("searched", first, "rows", search.Window(), "size"))


# Profiles.


async def profile(client: CatalogClient, which: Container, profile_id: str, dataset_id: str) -> Answer:
    """One profile; status 202 while it is being made, with the same body.

    A 500 says that profiling failed, so it is `CatalogFailed` at once.
    """
    path = f"/v2/data_profiles/{segment(profile_id)}"
    request = _get(client, "profile", path, which, dataset_id=dataset_id)
    return await client.call(replace(request, final=frozenset({500})))


# Governance.


async def artifact(client: CatalogClient, artifact_type: str, artifact_id: str) -> Answer:
    """One governance artifact, as it was published last; `artifact_type` is its own, `all` is for listings only.

    Its category is told where that relationship is asked for; those of a category are called otherwise.
    """
    path = f"/v3/governance_artifact_types/{segment(artifact_type)}/{segment(artifact_id)}"
    above = None if artifact_type == "category" else "parent_category"
    return await client.call(_get(client, "artifact", path, include_relationship=above))


# Lineage.


#: Where lineage events are told.
LINEAGE_PATH = "/v2/lineage_events"


async def post_lineage(client: CatalogClient, event: bytes) -> Answer:
    """Tell the catalog a lineage event (JSON). It may answer without a body; it does not promise to see doubles.

    Raises:
        CatalogAnswerInvalid: a success that is no JSON: a page of a proxy, say, that wants somebody to sign in.
    """
    answer = await client.call(Request("post_lineage", "POST", LINEAGE_PATH, body=event))
    _ = answer.value
    return answer


# How requests are made.


def _get(
    client: CatalogClient, endpoint: str, path: str, which: Container | None = None, /, **query: _Value
) -> Request:
    return Request(endpoint, "GET", path, _query(client, which, query))


def _post(
    client: CatalogClient, endpoint: str, path: str, body: Any, which: Container | None = None, /, **query: _Value
) -> Request:
    return Request(endpoint, "POST", path, _query(client, which, query), body)


def _denied(client: CatalogClient) -> dict[str, _Value]:
    """Whether metadata is asked for where a data protection rule denies the data."""
    return {"allow_metadata_on_dpr_deny": True if client.settings.allow_metadata_on_dpr_deny else None}


def _query(client: CatalogClient, which: Container | None, query: dict[str, _Value]) -> dict[str, str]:
    place = dict([client.names.container(which)]) if which else {}
    return {**place, **client.names.query(query)}
