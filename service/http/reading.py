"""`/api/…`: what whoever may read asks of the mirror: the overview, search, one thing whole, pages of views."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from aiohttp import web

from service.http.access import needs
from service.http.answers import csv_answer, json_answer
from service.http.parameters import Parameter, Parameters, number, text, word
from service.http.problems import not_found
from service.http.query import path_id
from service.http.tokens import Scope
from service.mirror.described import VIEWS
from service.mirror.store import Store
from service.openlineage.renaming import Renaming
from service.queries import views
from service.queries.artifacts import artifact
from service.queries.asked import Filters, Kind
from service.queries.assets import whole
from service.queries.cursors import MAX_LENGTH
from service.queries.overview import overview
from service.queries.search import search


class Format(StrEnum):
    """How a page of a view is told."""

    JSON = "json"
    CSV = "csv"


#: Values that one filter of a search may have, and characters of one.
_MAX_VALUES, _MAX_VALUE = 10, 500


def _several(name: str, meaning: str) -> Parameter:
    return text(name, f"{meaning}. Repeated: any of them.", least=1, most=_MAX_VALUE, at_most=_MAX_VALUES)


def _moment(given: str) -> datetime:
    """As RFC 3339 has it.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(given.replace(" ", "+"))  # a plus that nobody encoded
    if moment.tzinfo is None or "T" not in given.upper():
        raise ValueError
    return moment


_CURSOR = text("cursor", "`next` of the page before, all other parameters unchanged.", least=1, most=MAX_LENGTH)
_BY = (
    text("q", "Words, or their beginnings; without it all that the filters let through.", most=500),
    _several("type", "Type of the asset or artifact, kind of the container"),
    _several("container", "Id of the container"),
    _several("term", "Name or id of a business term on the asset or a column"),
    _several("class", "Data class of a column, or classification of the asset"),
    _several("owner", "Id of the owner"),
    _several("tag", "A tag"),
    Parameter(
        "changed_since", {"type": "string", "format": "date-time"},
        "Only what changed at or after this moment, on the catalog's clock.",
        "a moment such as 2026-05-10T15:04:15Z", _moment,
    ),
    number("limit", 25, 1, 100, "Matches at most."),
    _CURSOR,
)  # fmt: skip
SEARCH = Parameters(word("kind", Kind, "What is looked for. Repeated: any of them.", at_most=len(Kind)), *_BY)
#: Of search among things of fixed kinds.
SEARCH_OF = Parameters(*_BY)
NOTHING = Parameters()


#: How names of columns and conditions look; which there are, `/api/views` tells of each view.
_NAMES = {"type": "string", "pattern": "^[a-z0-9_]+(,[a-z0-9_]+)*$"}
_CONDITION = {"type": "string", "pattern": f"^[a-z0-9_]+:({'|'.join(views.Operator)}):[^\\u0000]*$"}


def page_of(view: str | None = None) -> Parameters:
    """By what a page is asked for: of one view, or as it is told of all."""
    names = "|".join(VIEWS[view].columns) if view else ""
    chosen = {"type": "string", "pattern": f"^(?:{names})(?:,(?:{names}))*$"} if view else _NAMES
    condition = {"type": "string", "pattern": views.condition_pattern(view)} if view else _CONDITION
    return Parameters(
        Parameter(
            "columns", chosen, f"Names with commas between them; else all but `{views.DOCUMENT}`.",
            "names of columns with commas between them", lambda given: given.split(","),
        ),
        Parameter(
            "filter", condition,
            "`column:operator:value`. Repeated: all of them hold. Operators: eq, prefix (of texts), lt, gte, null "
            "(true or false).", "column:operator:value", lambda given: views.condition_of(view or "", given),
            at_most=views.MAX_CONDITIONS,
        ),
        number(
            "limit", 100, 1, views.MAX_ROWS,
            f"Rows at most; {views.MAX_DOCUMENTS} where whole documents are among the columns.",
        ),
        word("format", Format, "JSON, or CSV with names of columns in the first line.", Format.JSON),
        _CURSOR,
    )  # fmt: skip


class ReadApi:
    """What is read of the mirror."""

    def __init__(self, store: Store, renaming: Renaming) -> None:
        self._store = store
        self._renaming = renaming

    def routes(self) -> list[web.RouteDef]:
        """What is answered; all of it takes the scope `read`."""
        told = {
            "/api/overview": self.get_overview,
            "/api/search": self.get_search,
            "/api/assets": self.get_assets,
            "/api/assets/{asset_id:[^/]+}": self.get_asset,
            "/api/artifacts": self.get_artifacts,
            "/api/artifacts/{artifact_id:[^/]+}": self.get_artifact,
            "/api/views": self.get_views,
            "/api/views/{view:[^/]+}": self.get_page,
        }
        return [web.get(path, needs(Scope.READ, one), allow_head=False) for path, one in told.items()]

    async def get_overview(self, request: web.Request) -> web.StreamResponse:
        """How everything is, at this moment."""
        NOTHING.of(request)
        async with self._store.reading() as connection:
            found = await overview(connection, self._store)
        return json_answer(request, found)

    async def get_search(self, request: web.Request) -> web.StreamResponse:
        """What is called so, of everything."""
        asked = SEARCH.of(request)
        return await self._search(request, asked, tuple(asked["kind"]))

    async def get_assets(self, request: web.Request) -> web.StreamResponse:
        """What is called so, of assets and data sets."""
        return await self._search(request, SEARCH_OF.of(request), (Kind.ASSET, Kind.DATA_SET))

    async def get_artifacts(self, request: web.Request) -> web.StreamResponse:
        """What is called so, of artifacts of the glossary."""
        return await self._search(request, SEARCH_OF.of(request), (Kind.ARTIFACT,))

    async def _search(self, request: web.Request, asked: dict[str, Any], kinds: Sequence[Kind]) -> web.StreamResponse:
        filters = Filters(
            kinds=tuple(kinds),
            types=tuple(asked["type"]),
            containers=tuple(asked["container"]),
            terms=tuple(asked["term"]),
            classes=tuple(asked["class"]),
            owners=tuple(asked["owner"]),
            tags=tuple(asked["tag"]),
            changed_since=asked["changed_since"],
        )
        async with self._store.reading() as connection:
            found = await search(connection, asked["q"] or "", filters, limit=asked["limit"], cursor=asked["cursor"])
        return json_answer(request, found, next_href=_next(request, found.next))

    async def get_asset(self, request: web.Request) -> web.StreamResponse:
        """One asset whole."""
        NOTHING.of(request)
        asset_id = path_id(request, "asset_id")
        async with self._store.reading() as connection:
            found = await whole(connection, asset_id, self._renaming)
        if found is None:
            raise not_found("asset", asset_id)
        return json_answer(request, found)

    async def get_artifact(self, request: web.Request) -> web.StreamResponse:
        """One artifact whole."""
        NOTHING.of(request)
        artifact_id = path_id(request, "artifact_id")
        async with self._store.reading() as connection:
            found = await artifact(connection, artifact_id)
        if found is None:
            raise not_found("artifact", artifact_id)
        return json_answer(request, found)

    async def get_views(self, request: web.Request) -> web.StreamResponse:
        """Every view with its columns."""
        NOTHING.of(request)
        return json_answer(request, views.described())

    async def get_page(self, request: web.Request) -> web.StreamResponse:
        """One page of a view."""
        view = request.match_info["view"]
        if view not in VIEWS:
            raise not_found("view", view)
        asked = page_of(view).of(request)
        async with self._store.reading() as connection:
            page = await views.page(
                connection,
                view,
                columns=asked["columns"],
                conditions=asked["filter"],
                limit=asked["limit"],
                cursor=asked["cursor"],
            )
        href = _next(request, page.next)
        if asked["format"] == Format.CSV:
            return csv_answer(request, page.columns, page.rows, next_href=href)
        rows = [dict(zip(page.columns, row, strict=True)) for row in page.rows]
        return json_answer(request, {"rows": rows, "next": page.next}, next_href=href)


def _next(request: web.Request, cursor: str | None) -> str | None:
    """The same question, from where the page ended."""
    return str(request.url.update_query(cursor=cursor)) if cursor else None
