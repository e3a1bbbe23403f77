"""Search, one thing whole (an asset, an artifact of the glossary), and why it is as it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web

from service.http.console.screens import Means, Screen
from service.http.problems import not_found
from service.http.query import Query, path_id
from service.http.tokens import Scope
from service.openlineage.renaming import Renaming
from service.queries.artifacts import artifact
from service.queries.asked import Filters, Kind
from service.queries.assets import whole
from service.queries.drift import Change, classes, drifted
from service.queries.explaining import explain
from service.queries.search import Found, Match, container_names, search

#: What a search may be narrowed by, as facets name it, and as filters do.
_NARROWED = {"type": "types", "container": "containers", "owner": "owners", "tag": "tags", "term": "terms",
             "class": "classes"}  # fmt: skip
#: The one that is told by an id.
_IN = "container"
#: Matches of one page; changes that are shown, and the days within which they were found.
PAGE, MAX_CHANGES, DAYS, MAX_DAYS = 25, 200, 7, 3650


class Finding(Screen):
    """`/search`, `/changes`, `/assets/{id}`, `/artifacts/{id}`, `/explained/{id}`."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._renaming = Renaming(self._settings.lineage.names)

    def shown(self) -> list[web.RouteDef]:
        """What is answered at either port."""
        return [
            self.see("/search", self.search, Scope.READ),
            self.see("/changes", self.changes, Scope.READ),
            self.see("/assets/{asset_id}", self.asset, Scope.READ),
            self.see("/artifacts/{artifact_id}", self.artifact, Scope.READ),
            self.see("/explained/{thing_id}", self.explained),
        ]

    async def search(self, request: web.Request) -> web.Response:
        """What is called so, with how many have which type, container, owner, tag, term or class."""
        query = Query(request, "q", "kind", "cursor", *_NARROWED)
        text, kind = query.text("q") or "", query.choice("kind", Kind)
        narrowed = {name: value for name in _NARROWED if (value := query.text(name))}
        chosen: dict[str, Any] = {_NARROWED[name]: (value,) for name, value in narrowed.items()}
        filters = Filters(kinds=(kind,) if kind else (), **chosen)
        found, names = None, {}
        if text or kind or narrowed:
            async with self._store.reading() as connection:
                found = await search(connection, text, filters, limit=PAGE, cursor=query.text("cursor"))
                names = await container_names(
                    connection, [*_containers(found), *([narrowed[_IN]] if _IN in narrowed else [])]
                )
        asked = {"q": text, **narrowed} | ({"kind": str(kind)} if kind else {})
        return self._pages.show(
            request, "search.html", found=found, text=text, asked=asked, kinds=list(Kind), kind=kind,
            narrowed=narrowed, with_=lambda **more: "/search?" + urlencode(asked | more),
            without=lambda name: "/search?" + urlencode({key: asked[key] for key in asked if key != name}),
            place_of=_place_of, called=lambda label, value: names.get(value, value) if label == _IN else value,
        )  # fmt: skip

    async def changes(self, request: web.Request) -> web.Response:
        """What profiling found otherwise than before: columns that became emptier, of which class."""
        query = Query(request, "change", "class", "days")
        change, klass = query.choice("change", Change), query.text("class") or None
        days = query.number("days", DAYS, 1, MAX_DAYS)
        async with self._store.reading() as connection:
            since = datetime.now(UTC) - timedelta(days=days)
            found = await drifted(connection, change=change, klass=klass, since=since, limit=MAX_CHANGES + 1)
            known = await classes(connection)
        return self._pages.show(
            request, "changes.html", found=found[:MAX_CHANGES], more=len(found) > MAX_CHANGES, changes=list(Change),
            change=change, classes=known, klass=klass, days=days, max_days=MAX_DAYS,
        )  # fmt: skip

    async def asset(self, request: web.Request) -> web.Response:
        """All that the mirror knows of one asset."""
        Query(request, "note", "n")
        asset_id = path_id(request, "asset_id")
        async with self._store.reading() as connection:
            found = await whole(connection, asset_id, self._renaming)
        if found is None:
            raise not_found("asset", asset_id)
        figures = {row["column_name"]: row for row in found.profile.columns.rows}
        return self._pages.show(request, "asset.html", whole=found, figures=figures)

    async def artifact(self, request: web.Request) -> web.Response:
        """All that the mirror knows of one artifact of the glossary, and where it is used."""
        Query(request)
        artifact_id = path_id(request, "artifact_id")
        async with self._store.reading() as connection:
            found = await artifact(connection, artifact_id)
        if found is None:
            raise not_found("artifact", artifact_id)
        return self._pages.show(request, "artifact.html", whole=found)

    async def explained(self, request: web.Request) -> web.Response:
        """Why the rows of a thing are as they are, and what happened to it; people's actions among it."""
        Query(request)
        thing_id = path_id(request, "thing_id")
        async with self._store.reading() as connection:
            found = await explain(connection, thing_id)
        if found is None:
            raise not_found("thing", thing_id)
        return self._pages.show(request, "explained.html", found=found)


def _containers(found: Found) -> list[str]:
    """The containers by which matches are counted."""
    return [value for facet in found.facets if facet.name == _IN for value in facet.values]


def _place_of(match: Match) -> str:
    """The page of what was found."""
    pages: dict[Kind, Any] = {Kind.ARTIFACT: "/artifacts/", Kind.CONTAINER: "/search?container="}
    return f"{pages.get(match.kind, '/assets/')}{quote(match.id, safe='')}"
