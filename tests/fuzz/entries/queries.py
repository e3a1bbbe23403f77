"""What a caller asks: where in the first line (a view, `search`, `lineage`, the path of a call), the query, a body."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, cast

from aiohttp import web
from multidict import MultiDictProxy
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from yarl import URL

from service.errors import QueryInvalid
from service.http.admin import calls, openapi
from service.http.lineage import _PLACE, _question
from service.http.problems import Problem
from service.http.query import Query
from service.http.reading import SEARCH, page_of
from service.mirror.described import VIEWS
from service.queries import views
from tests.fuzz.harness import Bound, Entry, headed

PAGES = {view: page_of(view) for view in VIEWS}
CALLS = {f"{call.method} {call.path}": call for call in openapi.CALLS}


class Asked:
    """As much of a request as its parameters are read of."""

    def __init__(self, query: str) -> None:
        self.query: MultiDictProxy[str] = URL.build(path="/", query_string=query, encoded=True).query


class Compiled:
    """In place of a database: statements are worded for both stores, and answer nothing."""

    def __init__(self, dialect: Any) -> None:
        self.dialect = dialect

    async def execute(self, statement: Any) -> Any:
        statement.compile(dialect=self.dialect)
        return self

    def all(self) -> list[Any]:
        return []


STORES = [Compiled(postgresql.asyncpg.dialect()), Compiled(sqlite.dialect())]  # type: ignore[no-untyped-call]


def done(work: Coroutine[Any, Any, Any]) -> None:
    """Work that waits for nobody."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def take(raw: bytes) -> None:
    where, rest = headed(raw)
    told, _, body = rest.partition(b"\n")
    request = cast(web.Request, Asked(told.decode("utf-8", "replace")))
    if where in PAGES:
        asked = PAGES[where].of(request)
        for store in STORES:
            connection = cast(AsyncConnection, store)
            done(views.page(connection, where, columns=asked["columns"], conditions=asked["filter"],
                            limit=asked["limit"], cursor=asked["cursor"]))  # fmt: skip
    elif where in CALLS:
        calls._query(request, CALLS[where].query)
        calls._body(body, CALLS[where].body)
    elif where == "lineage":
        _question("a1", Query(request, *_LINEAGE, *_PLACE))
    else:
        SEARCH.of(request)


_LINEAGE = ("lineage_type", "limit", "offset", "after_time", "hop_count", "event_count", "bookmark", "failed")
#: The statement of a wide view is some thousand calls.
ENTRY = Entry(take, (Problem, QueryInvalid), Bound(calls=100_000, calls_per_byte=500, memory=16_000_000))
