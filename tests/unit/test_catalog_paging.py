"""Listings: every style ends where it should, resumes anywhere, never loops, and leaves no task behind."""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from service.catalog import endpoints, paging, styles
from service.catalog.answer import Answer
from service.catalog.client import CatalogClient, Request
from service.catalog.names import Names
from service.catalog.paging import Listing, Page, Pages
from service.changes import Container
from service.errors import CatalogAnswerInvalid, CatalogFailed, CursorInvalid
from service.settings.model import CatalogSettings
from service.text import documents
from tests import listed

HERE = Container("catalog", "c1")
SETTINGS = CatalogSettings(url="https://catalog", api_key=SecretStr("k"))
INTERNAL = "http://10.0.0.1:9080/internal"

Reply = Callable[[Request], Any]


class Scripted(CatalogClient):
    """A client whose calls a function answers; it needs nothing of what connects, which takes long to make."""

    def __init__(self, reply: Reply) -> None:
        self.settings, self.names, self._ahead = SETTINGS, Names(), set()
        self.reply = reply
        self.asked: list[Request] = []

    async def call(self, request: Request) -> Answer:
        self.asked.append(request)
        assert len(self.asked) < 500, "it does not end"
        await asyncio.sleep(0)
        value = self.reply(request)
        if isinstance(value, Exception):
            raise value
        return Answer(200, documents.canonical(value), 1_000_000 * len(self.asked), f"{request.method} {request.path}")


async def taken(pages: Pages, most: int = 1000) -> list[Page]:
    found: list[Page] = []
    async with aclosing(pages):
        async for page in pages:
            found.append(page)
            if len(found) == most:
                break
    return found


def ids(pages: list[Page]) -> list[int]:
    return [item["id"] for page in pages for item in page.items]


def rows(start: int, end: int) -> list[dict[str, Any]]:
    return [{"id": number} for number in range(start, end)]


# What the servers do, each with its trap. `number` things, `size` on a page at most.


def body_bookmark(number: int, size: int) -> Reply:
    """P1: no `next` with the last page; one that follows a full last page is empty. `next` lacks `include`."""

    def reply(request: Request) -> Any:
        assert request.body["include"] == "entity,attachments"
        at = int(request.body.get("bookmark", 0))
        answer: dict[str, Any] = {"total_rows": number, "results": rows(at, min(number, at + size))}
        if at + size <= number:
            answer["next"] = {"bookmark": str(at + size), "query": request.body["query"], "limit": size}
        return answer

    return reply


def bookmark_or_skip(number: int, size: int) -> Reply:
    """P2: a bookmark with the last page too."""

    def reply(request: Request) -> Any:
        at = int(request.query.get("bookmark", 0))
        end = min(number, at + size)
        return {"catalogs": rows(at, end), "nextBookmark": str(end), "nextSkip": end}

    return reply


def skip_alone(number: int, size: int) -> Reply:
    """P2 without a bookmark."""

    def reply(request: Request) -> Any:
        at = int(request.query.get("skip", 0))
        return {"catalogs": rows(at, min(number, at + size)), "nextBookmark": None, "nextSkip": at + size}

    return reply


def bookmark(number: int, size: int) -> Reply:
    """P3: none with the last page."""

    def reply(request: Request) -> Any:
        at = int(request.query.get("bookmark", 0))
        answer: dict[str, Any] = {"total_rows": number, "resources": rows(at, min(number, at + size))}
        return {**answer, "bookmark": str(at + size)} if at + size < number else answer

    return reply


def sticky_bookmark(number: int, size: int) -> Reply:
    """P3: one with every page, the same again at the end; and pages larger than asked for."""

    def reply(request: Request) -> Any:
        at = int(request.query.get("bookmark", 0))
        end = min(number, at + size + 1)
        return {"total_rows": number, "resources": rows(at, end), "bookmark": str(end)}

    return reply


def link(number: int, size: int, *, token: bool, name: str = "start") -> Reply:
    """P5: links to internal hosts, with a cache buster and another limit than ours, with and without the token."""

    def reply(request: Request) -> Any:
        at = int(request.query.get(name, 0))
        answer: dict[str, Any] = {"total_count": number, "assets": rows(at, min(number, at + size))}
        if at + size < number:
            query = f"{name}={at + size}&limit={size}&_=99&catalog_id=other"
            answer["next"] = {"href": f"{INTERNAL}/assets?{query}"} | ({"start": str(at + size)} if token else {})
        assert request.query["catalog_id"] == "c1"
        return {**answer, "first": {"href": f"{INTERNAL}/assets"}}

    return reply


def offset(number: int, size: int, *, told: bool) -> Reply:
    """P6: a next link with every page, a limit below ours, offsets that must be multiples of it."""

    def reply(request: Request) -> Any:
        limit = min(int(request.query["limit"]), size) if told else int(request.query["limit"])
        at = int(request.query["offset"])
        assert at % limit == 0
        links = {name: {"href": f"{INTERNAL}?offset={at + limit}", "offset": "0"} for name in ("first", "next", "last")}
        answer = {"offset": at, "resources": rows(at, min(number, at + limit)), **links}
        return {**answer, "limit": limit, "count": number} if told else answer

    return reply


def next_token(number: int, size: int) -> Reply:
    """Jobs: an opaque text."""

    def reply(request: Request) -> Any:
        at = int(request.query.get("next", "t0")[1:])
        answer: dict[str, Any] = {"total_rows": number, "results": rows(at, min(number, at + size))}
        return {**answer, "next": f"t{at + size}"} if at + size < number else answer

    return reply


def next_url(number: int, size: int) -> Reply:
    """P7: `next` is a link itself."""

    def reply(request: Request) -> Any:
        at = int(request.query.get("page", 0))
        answer: dict[str, Any] = {"assets": rows(at, min(number, at + size))}
        return {**answer, "next": f"{INTERNAL}/x?page={at + size}"} if at + size < number else answer

    return reply


def search(number: int, size: int) -> Reply:
    """Global search: nothing beyond 10,000 of one query, the moment of modification grows every 7 documents."""

    def reply(request: Request) -> Any:
        body = request.body
        since = [
            term["range"]["metadata.modified_on"]["gte"] for term in body["query"]["bool"]["filter"] if "range" in term
        ]
        first = next((n for n in range(number) if moment(n) >= since[0]), number) if since else 0
        at = first + body["from"]
        assert body["from"] + body["size"] <= 10_000
        found = [{"id": n, "metadata": {"modified_on": moment(n)}} for n in range(at, min(number, at + body["size"]))]
        return {"size": number - first, "rows": found}

    return reply


def moment(number: int) -> str:
    return f"2026-05-10T{number // 7:06d}Z"


def quality(client: CatalogClient, cursor: str | None = None) -> Pages:
    return listed.quality_assets(client, HERE, cursor=cursor)


def project_jobs(client: CatalogClient, cursor: str | None = None) -> Pages:
    return listed.jobs(client, Container("project", "p"), cursor=cursor)


LISTINGS: dict[str, tuple[Callable[[int, int], Reply], Callable[..., Pages]]] = {
    "P1": (body_bookmark, lambda client, cursor=None: listed.assets(client, HERE, cursor=cursor)),
    "P2": (bookmark_or_skip, listed.catalogs),
    "P2 skip": (skip_alone, listed.catalogs),
    "P3": (bookmark, lambda client, cursor=None: listed.trash(client, HERE, cursor=cursor)),
    "P3 sticky": (sticky_bookmark, lambda client, cursor=None: listed.relationships(client, HERE, cursor=cursor)),
    "P4 and projects": (bookmark, listed.projects),
    "P5 link": (lambda number, size: link(number, size, token=False), quality),
    "P5 link and token": (lambda number, size: link(number, size, token=True), quality),
    "P5 another name": (lambda number, size: link(number, size, token=False, name="page_start"), quality),
    "P6": (lambda number, size: offset(number, size, told=False), listed.artifacts),
    "P6 limit told": (lambda number, size: offset(number, size, told=True), listed.artifacts),
    "P7": (next_url, quality),
    "next": (next_token, project_jobs),
}


@pytest.mark.parametrize("style", LISTINGS)
@given(number=st.integers(0, 450), size=st.sampled_from([1, 3, 25, 200]), stop=st.integers(1, 5))
async def test_every_item_comes_once_also_when_the_listing_is_resumed(
    style: str, number: int, size: int, stop: int
) -> None:
    number = min(number, size * 20)
    server, listing = LISTINGS[style]
    client = Scripted(server(number, size))

    begun = await taken(listing(client), most=stop)
    rest = await taken(listing(client, cursor=begun[-1].cursor)) if begun[-1].cursor else []

    assert ids(begun + rest) == list(range(number))
    assert [page.cursor is None for page in begun + rest] == [False] * (len(begun + rest) - 1) + [True]


@pytest.mark.parametrize("number", [0, 1, 199, 200, 201, 10_000, 10_001, 25_000])
async def test_search_goes_on_where_a_query_reaches_its_end(number: int) -> None:
    client = Scripted(search(number, 200))

    pages = await taken(endpoints.modified_assets(client, "2026"))
    resumed = await taken(endpoints.modified_assets(client, "2026", cursor=pages[len(pages) // 2].cursor))

    assert sorted(set(ids(pages))) == list(range(number))
    assert pages[-1].cursor is None
    assert len(pages) == 1 or ids(resumed) == ids(pages[len(pages) // 2 + 1 :]) or pages[len(pages) // 2].cursor is None


async def test_search_says_so_when_one_moment_has_more_than_a_query_can_reach() -> None:
    page = [{"metadata": {"modified_on": "2026"}, "id": None}] * 199

    def reply(request: Request) -> Any:
        return {"size": 99_999, "rows": [{"id": request.body["from"]}, *page]}

    with pytest.raises(CatalogAnswerInvalid, match="10000 documents were modified at 2026"):
        await taken(endpoints.modified_assets(Scripted(reply), None))


async def test_members_of_a_catalog_are_users_and_groups_and_resume_in_either() -> None:
    def reply(request: Request) -> Any:
        group, at = request.query["member_type"] == "group", int(request.query.get("bookmark", 0))
        key = "access_group_id" if group else "user_iam_id"
        return {"members": [{key: f"{key[0]}{at}"}], "total_rows": 2} | ({} if at else {"bookmark": "1"})

    whole = await taken(listed.members(Scripted(reply), HERE))
    assert [next(iter(page.items[0].values())) for page in whole] == ["u0", "u1", "a0", "a1"]
    assert [page.cursor is None for page in whole] == [False, False, False, True]
    for number, page in enumerate(whole[:-1]):
        rest = await taken(listed.members(Scripted(reply), HERE, cursor=page.cursor))
        assert [page.items for page in rest] == [page.items for page in whole[number + 1 :]]


@pytest.mark.parametrize("kind", ["project", "space"])
async def test_members_of_projects_and_spaces(kind: Any) -> None:
    client = Scripted(lambda request: {"members": rows(0, 2), "resources": rows(0, 2)})

    assert ids(await taken(listed.members(client, Container(kind, "x")))) == [0, 1]
    assert [request.path for request in client.asked] == [f"/v2/{kind}s/x/members"]


# Circles.


@pytest.mark.parametrize(
    ("listing", "answer"),
    [
        (listed.projects, {"resources": [{"id": 1}], "bookmark": "same"}),
        (listed.catalogs, {"catalogs": [{"id": 1}], "nextBookmark": "same"}),
        (LISTINGS["P1"][1], {"results": [{"id": 1}], "next": {"bookmark": "same"}}),
        (LISTINGS["P1"][1], {"results": [{"id": 1}], "next": {"query": "*:*", "limit": 200}}),
        (quality, {"assets": [{"id": 1}], "next": {"href": "?start=same"}}),
        (quality, {"assets": [{"id": 1}], "next": {"href": "?limit=200"}}),
        (quality, {"assets": [{"id": 1}], "next": {"href": ""}}),
        (project_jobs, {"results": [{"id": 1}], "next": "same"}),
    ],
)
async def test_a_cursor_that_repeats_is_an_error(listing: Callable[..., Pages], answer: Any) -> None:
    fresh = iter(range(1000))

    def reply(_: Request) -> Any:
        key = next(key for key, value in answer.items() if isinstance(value, list))
        return {**answer, key: [{"id": next(fresh)}]}

    with pytest.raises(CatalogAnswerInvalid, match="read already"):
        await taken(listing(Scripted(reply)))


async def test_a_circle_of_several_pages_is_an_error() -> None:
    fresh = iter(range(1000))

    def reply(request: Request) -> Any:
        number = next(fresh)
        return {"resources": [{"id": number}], "bookmark": f"b{number % 4}"}

    client = Scripted(reply)
    with pytest.raises(CatalogAnswerInvalid, match="read already"):
        await taken(listed.projects(client))
    assert len(client.asked) == 5


async def test_a_server_that_does_not_know_our_parameter_is_noticed() -> None:
    fresh = iter(range(1000))

    def reply(_: Request) -> Any:
        return {"resources": [{"id": 1}], "bookmark": f"b{next(fresh)}"}

    with pytest.raises(CatalogAnswerInvalid, match="page before once more"):
        await taken(listed.projects(Scripted(reply)))


async def test_empty_pages_without_end_are_an_error_and_a_few_are_not() -> None:
    def server(number: int) -> Reply:
        def reply(request: Request) -> Any:
            at = int(request.query.get("next", 0))
            return {"results": [{"id": at}] if at == number else []} | ({"next": str(at + 1)} if at < number else {})

        return reply

    assert ids(await taken(project_jobs(Scripted(server(5))))) == [5]
    with pytest.raises(CatalogAnswerInvalid, match="in a row were empty"):
        await taken(project_jobs(Scripted(server(10**6))))


@pytest.mark.parametrize(("listing", "key"), [(listed.projects, "resources"), (listed.catalogs, "catalogs")])
async def test_an_empty_page_is_the_end_where_bookmarks_never_are(listing: Callable[..., Pages], key: str) -> None:
    fresh = iter(range(1000))

    def reply(request: Request) -> Any:
        number = next(fresh)
        return {key: rows(0, 0) if number else rows(0, 1), "bookmark": f"b{number}", "nextBookmark": f"b{number}"}

    client = Scripted(reply)
    assert ids(await taken(listing(client))) == [0]
    assert len(client.asked) == 2


@pytest.mark.parametrize(("number", "calls"), [(0, 1), (199, 1), (200, 2), (201, 2)])
async def test_a_short_page_is_the_end_of_offsets_though_it_has_a_next_link(number: int, calls: int) -> None:
    client = Scripted(offset(number, 200, told=False))

    assert ids(await taken(listed.artifacts(client))) == list(range(number))
    assert len(client.asked) == calls


async def test_a_bookmark_that_stays_at_an_empty_end_is_the_end() -> None:
    answers = iter([{"results": [{"id": 1}], "next": "n"}, {"results": [], "next": "n"}])

    assert ids(await taken(project_jobs(Scripted(lambda _: next(answers))))) == [1]


@pytest.mark.parametrize(
    ("listing", "answer"),
    [
        (listed.projects, {"resources": rows(0, 1), "bookmark": {}}),
        (listed.projects, {"resources": None}),
        (listed.projects, {"items": []}),
        (listed.projects, []),
        (LISTINGS["P1"][1], {"results": rows(0, 1), "next": "text"}),
        (quality, {"assets": rows(0, 1), "next": [1]}),
        (quality, {"assets": rows(0, 1), "next": {"href": 1}}),
        (quality, {"assets": rows(0, 1), "next": {"href": "http://[x?start=1"}}),
        (project_jobs, {"results": rows(0, 1), "next": [1]}),
    ],
)
async def test_an_answer_of_another_shape_is_an_error(listing: Callable[..., Pages], answer: Any) -> None:
    with pytest.raises(CatalogAnswerInvalid):
        await taken(listing(Scripted(lambda _: answer)))


async def test_a_listing_under_another_name_is_read_where_it_is_the_only_one() -> None:
    """Of most listings no sample shows what their list is called (docs/contract.md, "Pages")."""
    (page,) = await taken(listed.projects(Scripted(lambda _: {"projects": rows(0, 2), "errors": []})))
    assert page.items == rows(0, 2)


@pytest.mark.parametrize(
    "answer", [{"a": rows(0, 1), "b": rows(0, 1)}, {"errors": rows(0, 1)}, {"projects": []}, {"projects": ["text"]}]
)
async def test_a_list_that_may_not_be_the_listing_never_passes_for_it(answer: Any) -> None:
    with pytest.raises(CatalogAnswerInvalid):
        await taken(listed.projects(Scripted(lambda _: answer)))


async def test_members_go_on_by_the_bookmark_and_tell_the_total_of_either_name() -> None:
    pages = iter([{"members": rows(0, 1), "nextBookmark": "b", "total_results": 2}, {"members": rows(1, 1)}])
    found = await taken(listed.members(Scripted(lambda _: next(pages, {"members": []})), Container("catalog", "c")))
    assert [page.total for page in found][:1] == [2]
    assert [item for page in found for item in page.items][:2] == rows(0, 1) + rows(1, 1)


# Cursors.


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"of":"projects"}',
        '{"of":1,"at":{}}',
        '{"of":"spaces","at":{}}',
        "[" * 99_999,
        "1" * 200_000,
    ],
)
async def test_a_cursor_of_another_listing_is_refused(cursor: str) -> None:
    client = Scripted(lambda _: {"resources": []})

    for listing in (listed.projects, partial(listed.members, where=HERE)):
        with pytest.raises(CursorInvalid):
            await taken(listing(client, cursor=cursor))
    assert client.asked == []


async def test_pages_tell_total_and_moment() -> None:
    (page,) = await taken(listed.trash(Scripted(bookmark(3, 25)), HERE))

    assert (page.total, page.at_us, page.cursor) == (3, 1_000_000, None)
    assert "id" not in repr(page)


# Reading ahead.


class Held(Scripted):
    """A client whose calls, but the first, wait until they are let go."""

    def __init__(self) -> None:
        super().__init__(bookmark(1000, 1))
        self.go = asyncio.Event()
        self.cancelled = 0

    async def call(self, request: Request) -> Answer:
        if self.asked:
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return await super().call(request)


def others() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_one_page_is_read_ahead_and_no_more() -> None:
    client = Scripted(bookmark(1000, 1))
    async with aclosing(listed.projects(client)) as pages:
        for number in range(1, 4):
            await anext(pages)
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(client.asked) == number + 1


async def test_leaving_early_gives_up_the_page_ahead() -> None:
    client = Held()
    async with aclosing(listed.projects(client)) as pages:
        await anext(pages)
        await asyncio.sleep(0)
    assert (client.cancelled, others()) == (1, set())


async def test_breaking_out_of_the_loop_leaves_no_task() -> None:
    client = Held()
    async for _ in listed.projects(client):
        await asyncio.sleep(0)
        break
    await until(lambda: not others())
    assert client.cancelled == 1


async def test_an_error_of_the_caller_leaves_no_task() -> None:
    client = Held()
    client.reply = lambda _: {"members": rows(0, 1), "bookmark": "x"}

    async def fail() -> None:
        async with aclosing(listed.members(client, HERE)) as pages:
            async for _ in pages:
                await asyncio.sleep(0)
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert (client.cancelled, others()) == (1, set())


async def test_cancelling_the_caller_leaves_no_task() -> None:
    client = Held()
    task = asyncio.create_task(taken(listed.projects(client)))
    await until(lambda: len(client.asked) == 1 and client._ahead != set() and len(others()) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not others())


async def test_closing_the_client_stops_what_is_read_ahead() -> None:
    client = Held()
    pages = listed.projects(client)
    await anext(pages)
    await asyncio.sleep(0)
    await client.stop_ahead()
    assert (client.cancelled, others()) == (1, set())
    await pages.aclose()


async def test_a_page_ahead_that_fails_is_told_when_it_is_asked_for() -> None:
    answers = iter([{"resources": rows(0, 1), "bookmark": "x"}, CatalogFailed(call="c", problem="p")])
    pages = listed.projects(Scripted(lambda _: next(answers)))

    assert ids([await anext(pages)]) == [0]
    for _ in range(10):
        await asyncio.sleep(0)
    with pytest.raises(CatalogFailed):
        await anext(pages)
    assert others() == set()


async def test_a_page_ahead_that_failed_and_that_nobody_asked_for_is_forgotten() -> None:
    answers = iter([{"resources": rows(0, 1), "bookmark": "x"}, CatalogFailed(call="c", problem="p")])
    async with aclosing(listed.projects(Scripted(lambda _: next(answers)))) as pages:
        await anext(pages)
        for _ in range(10):
            await asyncio.sleep(0)
    assert others() == set()


def test_links_are_never_followed_to_their_host() -> None:
    style = styles.Link("start", "limit")
    first = Request("x", "GET", "/v2/x", {"limit": "200", "catalog_id": "c1"})
    body = json.dumps({"next": {"href": "https://evil/v9/y?start=s&limit=7&catalog_id=other&apikey=1"}}).encode()

    place = style.after(first, {}, Answer(200, body, None, "c"), [])
    request = style.request(first, place or {})

    assert request.path == "/v2/x"
    assert request.query == {"limit": "7", "catalog_id": "c1", "start": "s", "apikey": "1"}


async def test_a_listing_that_is_never_begun_asks_nothing() -> None:
    client = Scripted(bookmark(3, 1))
    listing = Listing("x", Request("x", "GET", "/x"), "resources", styles.Whole())
    await paging.walk(client, listing).aclose()
    assert client.asked == []
