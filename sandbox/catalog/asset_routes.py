"""Assets over HTTP: search, cards one by one and in bulk, the trash, attachments, types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sandbox.catalog.assets import Record
from sandbox.catalog.calls import Answer, Call
from sandbox.catalog.cards import Card, may_find, may_open, profiles_in
from sandbox.catalog.clock import iso_seconds
from sandbox.catalog.containers import Container
from sandbox.catalog.generator import Wanted
from sandbox.catalog.ids import mix
from sandbox.catalog.paging import bookmarked, pack, page_after, unpack
from sandbox.catalog.problems import Problem, bad_request, forbidden, not_found
from sandbox.catalog.profiles import results
from sandbox.catalog.rendering import found_card, opened_card, trashed_card
from sandbox.catalog.statistics import REQUEST_TYPES

if TYPE_CHECKING:
    from sandbox.catalog.model import PocketCatalog

#: Cards on a page of a search; a larger wish is silently cut.
SEARCH_LIMIT = 200
BULK_LIMIT = 20
_INCLUDES = ("", "entity", "entity,attachments")
_CLAUSE = re.compile(r'asset\.(asset_type|asset_id):(?:"([^"]+)"|([^\s"*]+))')


def search_assets(call: Call) -> Answer:
    """`POST /v2/asset_types/{type}/search`: `next` comes with every full page, so the last page may be empty."""
    container, body = call.container(), call.json()
    asset_type = call.word("type")
    call.catalog.types.require(asset_type)
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        raise bad_request("The body must have a query.")
    wanted, asset_id = _read_query(body["query"], asset_type)
    include, limit = body.get("include", ""), _search_limit(body.get("limit", SEARCH_LIMIT))
    if include not in _INCLUDES:
        raise bad_request("include must be entity or entity,attachments.")
    if "sort" in body:
        raise bad_request("The pocket catalog does not sort search results.")
    start = _place(body["bookmark"]) if body.get("bookmark") else 0
    index = call.catalog.index
    if asset_id is None:
        cards, place = index.page(container.id, wanted, start, limit)
        total = index.total(container.id, wanted)
    else:
        found = _one(index.look_up(container.id, asset_id), wanted)
        total, cards, place = len(found), found[start:], 1
    base, knobs = call.base, call.catalog.knobs
    shown = [card for card in cards if not _is_denied(call, card["metadata"]["asset_id"])]
    answer: dict[str, Any] = {
        "total_rows": total,
        "results": [found_card(card, container, include, base, knobs) for card in shown],
    }
    if len(cards) == limit:
        answer["next"] = body | {"limit": limit, "bookmark": pack([place])}
    return Answer(answer)


def get_asset(call: Call) -> Answer:
    """`GET /v2/assets/{id}`: 404 also for what lies in the trash."""
    container = call.container()
    record = _read(call, container, call.word("asset_id"))
    return Answer(opened_card(record.card, container, call))


def get_assets(call: Call) -> Answer:
    """`GET /v2/assets/bulk`: 200 whatever becomes of each, in the order of the request."""
    container = call.container()
    asset_ids = call.required("asset_ids").split(",")
    if len(asset_ids) > BULK_LIMIT or not all(asset_ids):
        raise bad_request(f"asset_ids must be 1 to {BULK_LIMIT} ids.")
    return Answer({"resources": [_bulk_item(call, container, asset_id) for asset_id in asset_ids]})


def list_trash(call: Call) -> Answer:
    """`GET /v2/trashed_assets`: answers 201."""
    container = call.container()
    newer, older = call.time("newer_than"), call.time("older_than")
    records = [record for record in _trash(call, container) if _between(record, newer, older)]
    page = page_after(records, _trash_key, call.token("bookmark"), call.number("limit", 25))
    resources = [trashed_card(record, container, call, with_entity=False) for record in page.items]
    return Answer({"resources": resources, "total_rows": len(records)} | bookmarked(call, "bookmark", page), 201)


def count_trash(call: Call) -> Answer:
    """`GET /v2/trashed_assets/count` (the field's name is assumed)."""
    return Answer({"count": len(_trash(call, call.container()))})


def get_trashed(call: Call) -> Answer:
    """`GET /v2/trashed_assets/{id}`: 404 when it is not in the trash, or not any more."""
    container, asset_id = call.container(), call.word("asset_id")
    record = call.catalog.assets.trashed(asset_id)
    if record.container_id != container.id:
        raise not_found("trashed asset", asset_id)
    _check_hidden(call, record)
    return Answer(trashed_card(record, container, call, with_entity=True))


def get_attachment(call: Call) -> Answer:
    """`GET /v2/assets/{id}/attachments/{attachment_id}`: with a signed URL, which is a secret."""
    container = call.container()
    record, attachment_id = _read(call, container, call.word("asset_id")), call.word("attachment_id")
    if not may_open(record.card):
        raise forbidden(f"attachment '{attachment_id}'")
    found = [one for one in record.card.get("attachments", []) if one["id"] == attachment_id]
    if not found:
        raise not_found("attachment", attachment_id)
    return Answer(_attachment(found[0], record, container, call))


def get_object(call: Call) -> Answer:
    """What a signed URL leads to; whoever has the URL gets it."""
    asset_id, attachment_id = call.word("asset_id"), call.word("attachment_id")
    if call.text("X-Amz-Signature") != _signature(attachment_id):
        raise Problem(403, "SignatureDoesNotMatch", "The signature does not match.")
    return Answer(object_of(call.catalog, asset_id, attachment_id))


def object_of(catalog: PocketCatalog, asset_id: str, attachment_id: str) -> dict[str, Any]:
    """The document behind an attachment; raises Problem 404."""
    record = catalog.assets.live(asset_id)
    for profile in profiles_in(record.card):
        if profile["entity"]["data_profile"].get("attachment_id") == attachment_id:
            return results(profile, record.card)
    raise not_found("object", attachment_id)


def list_asset_types(call: Call) -> Answer:
    """`GET /v2/asset_types`: all at once."""
    call.container()
    return Answer({"resources": call.catalog.types.all()})


def get_statistics(call: Call) -> Answer:
    """`GET /v2/asset_statistics/{id}/statistics` (the shape of the answer is assumed)."""
    container, asset_id = call.container(), call.word("asset_id")
    request_type = call.choice("request_type", None, REQUEST_TYPES)
    _read(call, container, asset_id)
    count = call.catalog.statistics.of(asset_id, request_type)
    return Answer({"asset_id": asset_id, "request_type": request_type, "count": count})


def _read(call: Call, container: Container, asset_id: str) -> Record:
    record = call.catalog.assets.live(asset_id)
    if record.container_id != container.id:
        raise not_found("asset", asset_id)
    _check_hidden(call, record)
    if _is_denied(call, asset_id):
        raise forbidden("the asset")
    if call.catalog.knobs.reads_touch_usage:
        call.catalog.read_asset(asset_id, by="iam-ServiceId-0000-mirror")
        record = call.catalog.assets.live(asset_id)
    return record


def _is_denied(call: Call, asset_id: str) -> bool:
    return asset_id in call.catalog.knobs.denied_assets and call.text("allow_metadata_on_dpr_deny") != "true"


def _check_hidden(call: Call, record: Record) -> None:
    if not may_find(record.card):
        status = call.catalog.knobs.hidden_status
        raise forbidden("the asset") if status == 403 else not_found("asset", record.asset_id)


def _bulk_item(call: Call, container: Container, asset_id: str) -> dict[str, Any]:
    try:
        record = _read(call, container, asset_id)
    except Problem as problem:
        errors = [{"code": problem.code, "message": problem.message}]
        return {"asset_id": asset_id, "http_status": problem.status, "status": "failed", "errors": errors}
    card = opened_card(record.card, container, call)
    return {"asset_id": asset_id, "http_status": 200, "status": "success", "relationship_count": 0, "asset": card}


def _search_limit(limit: Any) -> int:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise bad_request("limit must be a number from 1 on.")
    return min(limit, SEARCH_LIMIT)


def _place(bookmark: Any) -> int:
    key = unpack(bookmark) if isinstance(bookmark, str) else []
    if len(key) != 1 or not isinstance(key[0], int):
        raise bad_request("The bookmark is not valid.")
    return key[0]


def _read_query(query: str, asset_type: str) -> tuple[Wanted, str | None]:
    """The part of Lucene that reading a catalog needs: `*:*`, and equality of a few fields joined by AND."""
    found: dict[str, str] = {}
    for clause in re.split(r"\s+AND\s+", query.strip()):
        if clause == "*:*":
            continue
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            raise bad_request(f"The pocket catalog does not know this query: {clause!r}.")
        found[match[1]] = match[2] or match[3]
    attribute = None if asset_type == "asset" else asset_type
    return Wanted(attribute, found.get("asset_type")), found.get("asset_id")


def _one(card: Card | None, wanted: Wanted) -> list[Card]:
    fits = card is not None and wanted.fits(card["metadata"]["asset_type"], card["entity"])
    return [card] if card is not None and fits else []


def _trash(call: Call, container: Container) -> list[Record]:
    return [record for record in call.catalog.assets.trash_of(container.id) if may_find(record.card)]


def _trash_key(record: Record) -> tuple[float, str]:
    return record.trashed_s or 0.0, record.asset_id


def _between(record: Record, newer: float | None, older: float | None) -> bool:
    at_s = record.trashed_s or 0.0
    return (newer is None or at_s > newer) and (older is None or at_s < older)


def _attachment(one: dict[str, Any], record: Record, container: Container, call: Call) -> dict[str, Any]:
    own = f"{container.kind}_id={container.id}"
    told = {
        "attachment_id": one["id"],
        "asset_type": one["asset_type"],
        "name": one["name"],
        "transfer_complete": True,
        "size": one["size"],
        "created_at": iso_seconds(one["create_time"] // 1000),
        "creator_id": one["creator_id"],
        "user_data": {},
        "usage": one["usage"],
        "href": f"{call.base}/v2/assets/{record.asset_id}/attachments/{one['id']}?{own}",
    }
    if one["is_remote"]:
        return told | {key: one[key] for key in ("connection_id", "connection_path")}
    signed = f"X-Amz-Expires=86400&X-Amz-Signature={_signature(one['id'])}"
    bucket = {"viewer": {"bucket_connection_id": "v"}, "editor": {"bucket_connection_id": "e"}}
    return told | {
        "object_key": one["object_key"],
        "object_key_is_read_only": False,
        "bucket": {"bucket_name": "pocket", "bluemix_cos_connection": bucket},
        "url": f"{call.catalog.knobs.storage or call.origin}/pocket/objects/{record.asset_id}/{one['id']}?{signed}",
    }


def _signature(attachment_id: str) -> str:
    return f"{mix(*attachment_id.encode()):016x}"
