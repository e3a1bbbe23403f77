"""The pocket Collibra keeps to the documents: every operation, every documented status, every limit."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from sandbox.collibra.backend import BASE, PASSWORD, USERNAME, VISITOR, PocketCollibra, serve

ITEM = {
    "assetLocator": {"type": "PostgreSQL", "keys": ["shop", "sales", "orders"]},
    "toDate": "2026-05-10T00:00:00Z", "queryCount": 5, "distinctUsers": 2,
}  # fmt: skip


def basic(username: str = USERNAME, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


SUBMIT, JOBS = "aggregatedData/submit", "aggregatedData/jobs"


class Client:
    def __init__(self, session: aiohttp.ClientSession, pocket: PocketCollibra, url: str) -> None:
        self._session, self.pocket, self.url = session, pocket, url

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any, Any]:
        options["headers"] = {**basic(), **options.pop("headers", {})}
        async with self._session.request(method, f"{self.url}{BASE}/{path}", **options) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def submit(self, body: Any, **options: Any) -> tuple[int, Any, Any]:
        return await self.call("POST", SUBMIT, json=body, **options)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    pocket = PocketCollibra()
    async with serve(pocket) as url, aiohttp.ClientSession() as session:
        yield Client(session, pocket, url)


def is_problem(body: Any, status: int) -> bool:
    fields = {"statusCode", "titleMessage", "helpMessage", "userMessage", "errorCode"}
    return set(body) == fields and body["statusCode"] == status


async def test_a_submission_is_a_job_that_waits_runs_and_completes_with_a_report(client: Client) -> None:
    status, job, headers = await client.submit([ITEM])

    assert status == 202
    assert headers["Location"] == f"{client.url}{BASE}/{JOBS}/{job['id']}"
    assert set(job) == {"id", "createdBy", "createdOn", "startDate", "status"}
    seen = [job["status"]]
    while "report" not in job:
        _, job, _ = await client.call("GET", f"{JOBS}/{job['id']}")
        seen.append(job["status"])
    assert seen == ["Waiting", "Running", "Completed"]
    assert job["report"] == {"processed": 1}
    assert client.pocket.submissions == [[ITEM]]


async def test_a_job_may_fail_and_its_report_says_why(client: Client) -> None:
    client.pocket.knobs.failing = 1
    _, job, _ = await client.submit([ITEM])
    for _ in range(2):
        _, job, _ = await client.call("GET", f"{JOBS}/{job['id']}")
    assert (job["status"], "error" in job["report"]) == ("Failed", True)


@pytest.mark.parametrize("body", [[], [ITEM] * 1000, [{}], [{"queryCount": -1}]])
async def test_what_the_schema_allows_is_taken_useful_or_not(client: Client, body: Any) -> None:
    assert (await client.submit(body))[0] == 202


@pytest.mark.parametrize(
    "body",
    [
        {}, [ITEM] * 1001, [1], [{"assetLocator": {}}], [{"assetLocator": {"type": "t"}}], [{"assetLocator": None}],
        [{"assetLocator": {"type": "t", "keys": []}}], [{"assetLocator": {"type": "t", "keys": [None]}}],
        [{"assetLocator": {"keys": ["k"]}}], [{"assetLocator": {"type": "t", "keys": ["k"], "product": 1}}],
        [{"toDate": "2026-05-10"}], [{"toDate": "2026-05-10T00:00:00"}], [{"toDate": 1}], [{"timePeriod": 30}],
        [{"queryCount": "5"}], [{"queryCount": 1.5}], [{"distinctUsers": True}], [{"distinctUsers": None}],
    ],
)  # fmt: skip
async def test_what_the_schema_does_not_allow_is_refused_with_400(client: Client, body: Any) -> None:
    status, problem, _ = await client.submit(body)
    assert status == 400
    assert is_problem(problem, 400)
    assert client.pocket.submissions == []


async def test_a_body_that_is_no_json_is_refused(client: Client) -> None:
    for options in ({"data": b"no", "headers": {"Content-Type": "application/json"}}, {"data": b"[]"}):
        assert (await client.call("POST", SUBMIT, **options))[0] == 400


async def test_who_is_not_signed_in_gets_401_and_who_may_not_403_everywhere(client: Client) -> None:
    for method, path in (("POST", SUBMIT), ("GET", JOBS), ("GET", f"{JOBS}/{uuid4()}")):
        for wrong in ({"Authorization": ""}, {"Authorization": "Bearer x"}, {"Authorization": "Basic !"}):
            status, problem, _ = await client.call(method, path, headers=wrong)
            assert (status, is_problem(problem, 401)) == (401, True)
        for headers, expected in ((basic(USERNAME, "x"), 401), (basic(VISITOR), 403)):
            status, problem, _ = await client.call(method, path, headers=headers)
            assert (status, is_problem(problem, expected)) == (expected, True)


async def test_a_token_is_good_for_a_time(client: Client) -> None:
    headers = {"Authorization": f"Bearer {client.pocket.issue_token()}"}
    assert (await client.submit([ITEM], headers=headers))[0] == 202
    client.pocket.knobs.token_life_s = -1
    headers = {"Authorization": f"Bearer {client.pocket.issue_token()}"}
    assert (await client.submit([ITEM], headers=headers))[0] == 401


async def test_jobs_are_listed_in_pages_without_reports_total_or_order(client: Client) -> None:
    ids = {client.pocket.add_job() for _ in range(23)}
    _, page, _ = await client.call("GET", JOBS)
    assert (list(page), len(page["results"])) == (["results"], 10)
    found: list[str] = []
    for offset in (0, 10, 20):
        _, page, _ = await client.call("GET", JOBS, params={"offset": offset, "limit": 10})
        found += [job["id"] for job in page["results"]]
    assert (len(found), set(found)) == (23, ids)
    assert not any("report" in job for job in page["results"])
    _, page, _ = await client.call("GET", JOBS, params={"status": "Running"})
    assert page == {"results": []}


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "501"}, {"limit": "x"}, {"offset": "-1"}, {"offset": "2147483648"}, {"status": "Done"}],
)  # fmt: skip
async def test_a_page_that_is_out_of_range_is_refused(client: Client, query: dict[str, str]) -> None:
    status, problem, _ = await client.call("GET", JOBS, params=query)
    assert (status, is_problem(problem, 400)) == (400, True)


async def test_a_job_that_is_not_there_gets_404_and_an_id_that_is_none_400(client: Client) -> None:
    status, problem, _ = await client.call("GET", f"{JOBS}/{uuid4()}")
    assert (status, is_problem(problem, 404)) == (404, True)
    assert (await client.call("GET", f"{JOBS}/seven"))[0] == 400


async def test_knobs_let_it_lose_answers_before_and_after_it_took_something(client: Client) -> None:
    knobs = client.pocket.knobs
    knobs.dropped = knobs.lost = 1
    for taken in (0, 1):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.submit([ITEM])
        assert len(client.pocket.submissions) == taken
    knobs.refusals, knobs.broken = [429, 503], [500]
    assert [(await client.submit([ITEM]))[0] for _ in range(4)] == [429, 503, 500, 202]
    assert len(client.pocket.submissions) == 3
