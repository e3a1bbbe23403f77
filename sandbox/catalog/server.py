"""The catalog's face over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web

from sandbox.catalog import (
    asset_routes,
    container_routes,
    contract_routes,
    glossary_routes,
    other_routes,
    quality_routes,
    rules_routes,
)
from sandbox.catalog.calls import Answer, Call
from sandbox.catalog.clock import http_date
from sandbox.catalog.forms import formed
from sandbox.catalog.ids import Kind
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.problems import Problem
from sandbox.serving import serving

Handler = Callable[[Call], Answer]

#: Method, path, handler; the first path that fits answers.
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/identity/token", other_routes.issue_token),
    ("POST", "/icp4d-api/v1/authorize", other_routes.authorize),
    ("POST", "/api/2.0/accounts/{account_id}/apikeys/token", other_routes.exchange_on_aws),
    ("POST", "/api/rest/mcsp/apikeys/token", other_routes.exchange_for_government),
    ("GET", "/v2/catalogs", container_routes.list_catalogs),
    ("GET", "/v2/catalogs/{id}", container_routes.get_catalog),
    ("GET", "/v2/catalogs/{id}/members", container_routes.list_catalog_members),
    ("GET", "/v2/projects", container_routes.list_projects),
    ("GET", "/v2/projects/{id}", container_routes.get_project),
    ("GET", "/v2/projects/{id}/members", container_routes.list_project_members),
    ("GET", "/v2/spaces", container_routes.list_spaces),
    ("GET", "/v2/spaces/{id}", container_routes.get_space),
    ("GET", "/v2/spaces/{id}/members", container_routes.list_space_members),
    ("POST", "/v2/asset_types/{type}/search", asset_routes.search_assets),
    ("GET", "/v2/asset_types", asset_routes.list_asset_types),
    ("GET", "/v2/datasource_types", other_routes.list_datasource_types),
    ("GET", "/v2/assets/bulk", asset_routes.get_assets),
    ("POST", "/v2/assets/search_relationships", other_routes.search_relationships),
    ("GET", "/v2/assets/{asset_id}", asset_routes.get_asset),
    ("GET", "/v2/assets/{asset_id}/attachments/{attachment_id}", asset_routes.get_attachment),
    ("GET", "/v2/trashed_assets", asset_routes.list_trash),
    ("GET", "/v2/trashed_assets/count", asset_routes.count_trash),
    ("GET", "/v2/trashed_assets/{asset_id}", asset_routes.get_trashed),
    ("GET", "/v2/data_profiles", other_routes.list_profiles),
    ("GET", "/v2/data_profiles/{profile_id}", other_routes.get_profile),
    ("GET", "/v2/asset_relationship_types", other_routes.list_relationship_types),
    ("GET", "/v2/asset_statistics/{asset_id}/statistics", asset_routes.get_statistics),
    ("GET", "/v2/asset_lists", other_routes.list_asset_lists),
    ("GET", "/v2/asset_lists/{list_id}/items", other_routes.list_items),
    ("GET", "/v2/jobs", other_routes.list_jobs),
    ("GET", "/v2/jobs/{job_id}/runs", other_routes.list_runs),
    ("GET", "/v2/metadata_imports/{id}", other_routes.get_import),
    ("GET", "/v2/metadata_enrichment/metadata_enrichment_area/{id}", other_routes.get_area),
    ("POST", "/v2/lineage_events", other_routes.receive_lineage),
    ("GET", "/v2/asset_lineages/{asset_id}", other_routes.list_lineage),
    ("POST", "/v3/search", other_routes.search_globally),
    ("GET", "/v3/governance_artifact_types/{type}", glossary_routes.list_artifacts),
    ("GET", "/v3/governance_artifact_types/{type}/{id}", glossary_routes.get_artifact),
    (
        "GET",
        "/v3/{plural:glossary_terms|classifications|data_classes|policies|rules}/{id}/versions",
        glossary_routes.list_versions,
    ),
    (
        "GET",
        "/v3/{plural:glossary_terms|classifications|data_classes|policies|rules}/{id}/versions/{version_id}",
        glossary_routes.get_version,
    ),
    ("GET", "/v3/relationships", glossary_routes.list_artifact_relationships),
    ("GET", "/v3/data_classes", glossary_routes.list_data_classes),
    ("GET", "/v3/categories/uncategorized", glossary_routes.get_uncategorized),
    ("POST", "/v3/categories/hierarchy", glossary_routes.read_categories),
    ("GET", "/v3/categories/{id}/collaborators", glossary_routes.list_collaborators),
    ("GET", "/data_quality/v4/assets", quality_routes.list_quality_assets),
    ("GET", "/data_quality/v4/checks", quality_routes.list_checks),
    ("GET", "/data_quality/v4/issues", quality_routes.list_issues),
    ("GET", "/data_quality/v4/scores", quality_routes.get_scores),
    ("POST", "/data_quality/v4/search_dq_asset", quality_routes.find_asset),
    ("POST", "/data_quality/v4/search_dq_check", quality_routes.find_check),
    ("POST", "/data_quality/v4/search_dq_issue", quality_routes.find_issue),
    ("POST", "/data_quality/v4/search_dq_dimension", quality_routes.find_dimensions),
    ("GET", "/data_quality/v3/projects/{project_id}/definitions", rules_routes.list_definitions),
    ("GET", "/data_quality/v3/projects/{project_id}/rules", rules_routes.list_rules),
    ("GET", "/data_quality/v3/projects/{project_id}/rules/{rule_id}/executions", rules_routes.list_executions),
    (
        "GET",
        "/data_quality/v4/{kind:catalogs|projects}/{container_id}/data_contracts",
        contract_routes.list_contracts,
    ),
    (
        "GET",
        "/data_quality/v4/{kind:catalogs|projects}/{container_id}/data_contracts/{id}",
        contract_routes.get_contract,
    ),
    (
        "GET",
        "/data_quality/v4/{kind:catalogs|projects}/{container_id}/data_contracts/{id}/test_results",
        contract_routes.list_test_results,
    ),
    (
        "GET",
        "/data_quality/v4/{kind:catalogs|projects}/{container_id}/data_contracts/{id}/test_results/{run_id}",
        contract_routes.get_test_result,
    ),
    ("GET", "/v3/enforcement/rules", rules_routes.list_protection_rules),
    ("GET", "/v4/reference_data_sets/{id}/versions/{version}/values", glossary_routes.list_values),
    ("GET", "/pocket/objects/{asset_id}/{attachment_id}", asset_routes.get_object),
)
#: What may be called without a token: signing in, and what a signed URL leads to.
_OPEN = ("/identity/", "/icp4d-api/", "/api/", "/pocket/objects/")
_CATALOG = web.AppKey("catalog", PocketCatalog)
_HTML = "<html><head><title>{0}</title></head><body><h1>{0} Service Temporarily Unavailable</h1></body></html>"


@asynccontextmanager
async def serve(catalog: PocketCatalog, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Answer for this catalog in the running event loop; gives the base URL. Port 0 takes a free one."""
    async with serving(make_app(catalog), port, host) as url:
        yield url


def make_app(catalog: PocketCatalog) -> web.Application:
    """The application, for whoever runs it otherwise."""
    app = web.Application(middlewares=[_answer_in_shape])
    app[_CATALOG] = catalog
    for method, path, handler in ROUTES:
        app.router.add_route(method, path, _as_aiohttp(handler))
    return app


def _as_aiohttp(handler: Handler) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        form = request.content_type == "application/x-www-form-urlencoded"
        call = Call(
            catalog=request.app[_CATALOG],
            origin=str(request.url.origin()),
            path=request.path,
            path_words=request.match_info,
            query=request.query,
            raw_body=body,
            form={key: str(value) for key, value in (await request.post()).items()} if form else {},
        )
        answer = _formed(call, handler(call))
        spoil = call.catalog.knobs.spoil
        if spoil is None or call.path.startswith(_OPEN):
            return _response(answer)
        spoilt = spoil(call.path, call.query, answer.body)
        return spoilt if isinstance(spoilt, web.Response) else _response(replace(answer, body=spoilt))

    return handle


def _formed(call: Call, answer: Answer) -> Answer:
    """The answer in the forms that the documents leave open; signing in is told."""
    if call.path.startswith(_OPEN):
        return answer
    return replace(answer, body=formed(answer.body, call.catalog.knobs.forms))


@web.middleware
async def _answer_in_shape(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Count the call, let it fail where a knob says so, check the token, and put problems into their envelope."""
    catalog = request.app[_CATALOG]
    resource = request.match_info.route.resource
    catalog.calls[f"{request.method} {resource.canonical if resource else '(unknown)'}"] += 1
    if catalog.knobs.latency_s:
        await asyncio.sleep(catalog.knobs.latency_s)
    catalog.catch_up()
    try:
        response = _refusal(request, catalog) or await handler(request)
    except Problem as problem:
        status = 410 if problem.status == 404 and catalog.knobs.forms.gone else problem.status
        response = _response(Answer(_envelope(request.path, problem, catalog), status))
    except web.HTTPException as refused:
        unknown = Problem(refused.status, "not_found", refused.reason)
        response = _response(Answer(_envelope(request.path, unknown, catalog), refused.status))
    response.headers["Date"] = http_date(catalog.clock.now())
    return response


def _refusal(request: web.Request, catalog: PocketCatalog) -> web.Response | None:
    if struck := catalog.failures.strike():
        status, html = struck
        if html:
            return web.Response(status=status, text=_HTML.format(status), content_type="text/html")
        raise Problem(status, "internal_error", "ASTSV0001E: Something went wrong.")
    limited = catalog.rate_limit.take()
    if limited is not None:
        problem = Problem(429, "too_many_requests", "Too many requests.")
        return _response(Answer(_envelope(request.path, problem, catalog), 429, limited))
    if not request.path.startswith(_OPEN):
        catalog.tokens.check(request.headers.get("Authorization"))
    return None


def _envelope(path: str, problem: Problem, catalog: PocketCatalog) -> dict[str, Any]:
    """Each service has its own: projects E3, quality E1 (its status_code is always 404), the glossary E2, others E0."""
    if path.startswith("/identity/"):
        return {"errorCode": problem.code, "errorMessage": problem.message}
    if path.startswith("/v2/projects"):
        code, reason = str(problem.status), problem.code
        return {"code": code, "error": reason, "reason": reason, "message": problem.message}
    error: dict[str, Any] = {"code": problem.code, "message": problem.message}
    trace = catalog.ids.of(Kind.TRACE, catalog.calls.total())
    if path.startswith("/data_quality/"):
        return {"trace": trace, "status_code": 404, "errors": [error]}
    if path.startswith("/v3/"):
        error["target"] = {"type": "parameter", "name": "id"}
    return {"trace": trace, "errors": [error]}


def _response(answer: Answer) -> web.Response:
    if answer.body is None:
        return web.Response(status=answer.status, headers=answer.headers)
    return web.Response(
        status=answer.status,
        body=msgspec.json.encode(answer.body),
        content_type="application/json",
        headers=answer.headers,
    )
