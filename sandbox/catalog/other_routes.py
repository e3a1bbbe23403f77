"""Signing in, profiles, relationships, lineage, lists, jobs, areas, and global search over HTTP."""

from __future__ import annotations

import random
from typing import Any

from sandbox.catalog import access
from sandbox.catalog.calls import Answer, Call
from sandbox.catalog.cards import may_find, may_open
from sandbox.catalog.clock import iso_millis, to_millis
from sandbox.catalog.containers import Container
from sandbox.catalog.enrichment import AREA, IMPORT
from sandbox.catalog.global_search import parse_query
from sandbox.catalog.jobs import STATES, job_document, run_document
from sandbox.catalog.paging import bookmarked, offset_page, page_after, started
from sandbox.catalog.problems import Problem, bad_request, forbidden, not_found
from sandbox.catalog.profiles import EXECUTING
from sandbox.catalog.relationships import COLUMN_MARK, Edge, End

#: Numbers that have no bound of their own.
_FAR = 2_147_483_647

_GRANT = "urn:ibm:params:oauth:grant-type:apikey"
#: Which accepted lineage events are answered without a body; a call's number decides, so that runs repeat.
_LINEAGE_RNG_SALT = 31


def issue_token(call: Call) -> Answer:
    """`POST /identity/token`: a key for a token that lives an hour."""
    if call.form.get("grant_type") != _GRANT or call.form.get("apikey") != access.API_KEY:
        raise Problem(400, "BXNIM0415E", "Provided API key could not be found.")
    token, expires_s = call.catalog.tokens.issue()
    life_s = int(call.catalog.knobs.token_life_s)
    told = {"access_token": token, "refresh_token": "not_supported", "token_type": "Bearer"}
    return Answer(told | {"expires_in": life_s, "expiration": int(expires_s)})


def exchange_on_aws(call: Call) -> Answer:
    """`POST /api/2.0/accounts/{account_id}/apikeys/token`: a key in JSON, as ibm-cloud-sdk-core sends it."""
    told = call.json()
    return _exchanged(call, told.get("apikey") if isinstance(told, dict) else None)


def exchange_for_government(call: Call) -> Answer:
    """`POST /api/rest/mcsp/apikeys/token`: a key in a form, as data-intelligence-sdk sends it."""
    return _exchanged(call, call.form.get("apikey"))


def _exchanged(call: Call, key: str | None) -> Answer:
    if key != access.API_KEY:
        raise Problem(401, "BXNIM0415E", "Provided API key could not be found.")
    return Answer({"token": call.catalog.tokens.issue()[0], "expires_in": int(call.catalog.knobs.token_life_s)})


def authorize(call: Call) -> Answer:
    """`POST /icp4d-api/v1/authorize`: sign-in on premises; nothing tells when the token expires."""
    access.authorize(call.json())
    return Answer({"_messageCode_": "200", "message": "Success", "token": call.catalog.tokens.issue()[0]})


def list_profiles(call: Call) -> Answer:
    """`GET /v2/data_profiles`: those of one data set, all at once."""
    container = call.container("catalog", "project")
    asset_id, with_entity = call.required("dataset_id"), call.flag("include_entity", True)
    if asset_id in call.catalog.knobs.closed_profiles:
        raise Problem(403, "forbidden", f"You may not see the profiles of '{asset_id}'.")
    profiles = _profiles(call, container, asset_id)
    return Answer({"resources": [one if with_entity else _without_entity(one) for one in profiles]})


def get_profile(call: Call) -> Answer:
    """`GET /v2/data_profiles/{id}`: 202 while its run goes on, 500 when that failed."""
    container, asset_id = call.container("catalog", "project"), call.required("dataset_id")
    profile_id = call.word("profile_id")
    for one in _profiles(call, container, asset_id):
        if one["metadata"]["guid"] == profile_id:
            status = one["entity"]["data_profile"]["execution"]["status"]
            if status == "failed":
                raise Problem(500, "profiling_failed", f"The data profile '{profile_id}' could not be made.")
            return Answer(one, 202 if status in EXECUTING else 200)
    raise not_found("data profile", profile_id)


def list_datasource_types(call: Call) -> Answer:
    """`GET /v2/datasource_types`: 100 on a page unless others are asked for, `next` as long as there are more.

    Its links call the parameters as the guide does, with a line before their names.
    """
    every = call.catalog.datasource_types.all()
    limit = call.number("_limit", call.number("limit", 100, high=_FAR), high=_FAR)
    offset = call.number("_offset", call.number("offset", 0, low=0, high=_FAR), low=0, high=_FAR)
    links: dict[str, Any] = {"first": {"href": call.href(_offset=0, _limit=limit)}}
    if offset + limit < len(every):
        links["next"] = {"href": call.href(_offset=offset + limit, _limit=limit)}
    shown = every[offset : offset + limit]
    return Answer({"offset": offset, "total_count": len(every), **links, "resources": shown})


def list_relationship_types(call: Call) -> Answer:
    """`GET /v2/asset_relationship_types`."""
    types = list(call.catalog.relationships.types.values())
    page = page_after(types, lambda one: (one.id,), call.token("bookmark"), call.number("limit", 25))
    return Answer({"resources": [one.as_document() for one in page.items]} | bookmarked(call, "bookmark", page))


def search_relationships(call: Call) -> Answer:
    """`POST /v2/assets/search_relationships`: longest unchanged first; one with itself is there twice, counted once."""
    container = call.container()
    after, before = call.time("modified_after"), call.time("modified_before")
    columns = call.flag("include_source_columns", False) & call.flag("include_target_columns", False)
    edges = [
        edge
        for edge in call.catalog.relationships.of_container(container.id)
        if (columns or not edge.has_column)
        and (after is None or edge.updated_s > after)
        and (before is None or edge.updated_s < before)
    ]
    limit = call.number("limit", 25)
    page = page_after(edges, lambda edge: (edge.updated_s, edge.number), call.token("bookmark"), limit)
    shown = [_relationship(edge, call) for edge in page.items for _ in range(2 if edge.source == edge.target else 1)]
    return Answer({"resources": shown, "total_rows": len(edges)} | bookmarked(call, "bookmark", page))


def receive_lineage(call: Call) -> Answer:
    """`POST /v2/lineage_events`: accepted with a body, or without one."""
    lineage = call.catalog.lineage
    event = lineage.receive(call.json())
    if random.Random(_LINEAGE_RNG_SALT * len(lineage.events)).random() < call.catalog.knobs.lineage_no_content:
        return Answer(status=204)
    told = {"id": event.id, "source_event_id": event.body["event_details"]["event_id"]}
    return Answer({"metadata": told}, 202)


def list_lineage(call: Call) -> Answer:
    """`GET /v2/asset_lineages/{id}`: newest first; exactly one container has to be named."""
    call.container()
    events = call.catalog.lineage.of(call.word("asset_id"))
    page, envelope = offset_page(call, events, default=50, multiple=False)
    stamp = to_millis(call.catalog.clock.now())
    links = {"first": {"href": call.href(offset=0, _=stamp)}}
    links |= {"next": {"href": envelope["next"]["href"]}} if "next" in envelope else {}
    shown = [event.as_resource() for event in page]
    return Answer({"resources": shown, "limit": envelope["limit"], "offset": envelope["offset"]} | links)


def list_asset_lists(call: Call) -> Answer:
    """`GET /v2/asset_lists`."""
    if call.text("query") is not None:
        raise bad_request("The pocket catalog does not know CEL queries.")
    lists = call.catalog.lists.all()
    page, links = started(call, lists, _stamped, call.number("limit", 200), tell_start=True)
    return Answer({"asset_lists": page, "total_count": len(lists)} | links)


def list_items(call: Call) -> Answer:
    """`GET /v2/asset_lists/{id}/items`."""
    items = call.catalog.lists.items(call.word("list_id"))
    page, links = started(call, items, _stamped, call.number("limit", 200), tell_start=True)
    return Answer({"items": page, "total_count": len(items)} | links)


def list_jobs(call: Call) -> Answer:
    """`GET /v2/jobs`: of a project or a space."""
    jobs = call.catalog.jobs.of(call.container("project", "space").id)
    page = page_after(jobs, lambda job: (job.id,), call.token("next"), call.number("limit", 100))
    following = {"next": page.token} if page.has_more else {}
    return Answer({"total_rows": len(jobs), "results": [job_document(job) for job in page.items]} | following)


def list_runs(call: Call) -> Answer:
    """`GET /v2/jobs/{id}/runs`: all of them, or those in some states."""
    job = call.catalog.jobs.get(call.word("job_id"), call.container("project", "space").id)
    states = (call.text("states") or ",".join(STATES)).split(",")
    if not set(states) <= set(STATES):
        raise bad_request(f"states must be some of {', '.join(STATES)}.")
    runs = [run for run in job.runs.values() if run.state in states]
    page = page_after(runs, lambda run: (run.id,), call.token("next"), call.number("limit", 100))
    following = {"next": page.token} if page.has_more else {}
    return Answer({"total_rows": len(runs), "results": [run_document(job, run) for run in page.items]} | following)


def get_import(call: Call) -> Answer:
    """`GET /v2/metadata_imports/{id}`: 410 when it was deleted."""
    return Answer(call.catalog.enrichment.read(IMPORT, call.word("id"), call.container("project").id))


def get_area(call: Call) -> Answer:
    """`GET /v2/metadata_enrichment/metadata_enrichment_area/{id}`: 410 when it was deleted."""
    return Answer(call.catalog.enrichment.read(AREA, call.word("id"), call.container("project").id))


def search_globally(call: Call) -> Answer:
    """`POST /v3/search`: at most 10,000 documents of one query."""
    rows, total = call.catalog.search.find(parse_query(call.json()))
    return Answer({"size": total, "rows": rows})


def _profiles(call: Call, container: Container, asset_id: str) -> list[dict[str, Any]]:
    record = call.catalog.assets.live(asset_id)
    if record.container_id != container.id:
        raise not_found("data set", asset_id)
    if not (may_find(record.card) and may_open(record.card)):
        raise forbidden(f"data set '{asset_id}'")
    return call.catalog.profiles.of(asset_id)


def _without_entity(profile: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in profile.items() if key != "entity"}


def _relationship(edge: Edge, call: Call) -> dict[str, Any]:
    """The shape is assumed: no document shows one."""
    return {
        "relationship_name": edge.name,
        "relationship_type_id": edge.type.id,
        "source": _end(edge.source, call),
        "target": _end(edge.target, call),
        "create_time": iso_millis(edge.created_s),
        "update_time": iso_millis(edge.updated_s),
        "creator_id": edge.creator,
    }


def _end(end: End, call: Call) -> dict[str, Any]:
    if end.artifact_type is not None:
        return {"artifact_id": end.id, "artifact_type": end.artifact_type}
    record = call.catalog.assets.live(end.id)
    container = call.catalog.containers.get(record.container_id)
    asset_id = end.id if end.column is None else f"{end.id}{COLUMN_MARK}{end.column}"
    asset_type = record.card["metadata"]["asset_type"]
    return {"asset_id": asset_id, f"{container.kind}_id": container.id, "asset_type": asset_type}


def _stamped(document: dict[str, Any]) -> tuple[str, str]:
    return document["created_at"], document["id"]
