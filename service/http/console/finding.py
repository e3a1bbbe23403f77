"""Search, and one thing whole: an asset, an artifact of the glossary."""

from __future__ import annotations

from aiohttp import web

from service.http.console.door import Door, form_token
from service.http.console.rendering import Pages
from service.http.problems import not_found
from service.http.query import Query, path_id
from service.http.tokens import Scope
from service.mirror.store import Store
from service.queries.artifacts import artifact
from service.queries.assets import whole


class Finding:
    """`/search`, `/assets/{id}`, `/artifacts/{id}`."""

    def __init__(self, store: Store, pages: Pages, door: Door) -> None:
        self._store = store
        self._pages = pages
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        """What is answered, and which scope it takes."""
        page = self._door.page
        return [
            web.get("/assets/{asset_id}", page(Scope.READ, self.asset), allow_head=False),
            web.get("/artifacts/{artifact_id}", page(Scope.READ, self.artifact), allow_head=False),
        ]

    async def asset(self, request: web.Request) -> web.Response:
        """All that the mirror knows of one asset."""
        Query(request, "note", "n")
        asset_id = path_id(request, "asset_id")
        async with self._store.reading() as connection:
            found = await whole(connection, asset_id)
        if found is None:
            raise not_found("asset", asset_id)
        figures = {row["column_name"]: row for row in found.profile.columns.rows}
        return self._pages.show(request, "asset.html", whole=found, figures=figures, token=form_token(request))

    async def artifact(self, request: web.Request) -> web.Response:
        """All that the mirror knows of one artifact of the glossary, and where it is used."""
        Query(request)
        artifact_id = path_id(request, "artifact_id")
        async with self._store.reading() as connection:
            found = await artifact(connection, artifact_id)
        if found is None:
            raise not_found("artifact", artifact_id)
        return self._pages.show(request, "artifact.html", whole=found)
