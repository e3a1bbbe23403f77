"""How the catalog is read: runs and how far they are, what differs, how fresh each kind is; and what starts a run."""

from __future__ import annotations

from aiohttp import web

from service.http.console.door import Door, form_token
from service.http.console.forms import act_of, field, on
from service.http.console.rendering import Pages
from service.http.problems import bad_request
from service.http.query import Query
from service.http.tokens import Scope
from service.mirror.progress import RECONCILE, SNAPSHOT
from service.mirror.store import Store
from service.operations import reading
from service.queries import parts
from service.sync.readings import TABLES
from service.sync.runs import COUNTS
from service.sync.sweep import Options

#: What may be asked for: the mode, and what the run may do.
_RUNS = {
    "snapshot": (SNAPSHOT, Options()),
    "compare": (RECONCILE, Options(repair=False, deletions=True, accept_deletions=False)),
    "repair": (RECONCILE, Options(repair=True, deletions=True, accept_deletions=False)),
    "repair_all": (RECONCILE, Options(repair=True, deletions=True, accept_deletions=True)),
}


class ReadingScreen:
    """`/reading`."""

    def __init__(self, store: Store, pages: Pages, door: Door) -> None:
        self._store = store
        self._pages = pages
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        """What is answered; actions where this port takes them."""
        page = self._door.page
        seen = [web.get("/reading", page(Scope.OPERATE, self.show), allow_head=False)]
        if not self._pages.acts:
            return seen
        return [
            *seen,
            web.post("/reading/ask", page(Scope.OPERATE, self.ask)),
            web.post("/reading/hold", page(Scope.OPERATE, self.hold)),
            web.post("/reading/refresh", page(Scope.OPERATE, self.refresh)),
            web.post("/reading/gaps/close", page(Scope.OPERATE, self.close_gap)),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Runs, freshness, gaps."""
        Query(request, "note", "n")
        standing = await reading.standing(self._store)
        async with self._store.reading() as connection:
            fresh = await parts.freshness(connection)
            waiting = await parts.refreshing(connection, parts.WAITING_ROWS)
        return self._pages.show(
            request, "reading.html", standing=standing, freshness=fresh, refreshing=waiting, counts=COUNTS,
            gaps=await reading.gaps(self._store), kinds=sorted(TABLES), token=form_token(request),
        )  # fmt: skip

    async def ask(self, request: web.Request) -> web.Response:
        """Have the running service read."""
        wanted = await field(request, "run")
        if wanted not in _RUNS:
            raise bad_request(f"run must be one of {', '.join(_RUNS)}.")
        mode, options = _RUNS[wanted]
        await reading.ask(self._store, mode, options, await act_of(request))
        return on("/reading", "asked")

    async def hold(self, request: web.Request) -> web.Response:
        """Hold the run that is going on, let it go on, or end it."""
        how, act = await field(request, "how"), await act_of(request)
        if how == "pause":
            await reading.hold(self._store, act)
        elif how == "resume":
            await reading.let_go(self._store, act)
        elif how == "stop":
            await reading.stop(self._store, act)
        else:
            raise bad_request("how must be one of pause, resume, stop.")
        return on("/reading", "asked")

    async def refresh(self, request: web.Request) -> web.Response:
        """Have one thing read again."""
        kind, thing = await field(request, "kind"), await field(request, "id")
        if not thing:
            raise bad_request("Give the id of what is to be read.")
        await reading.refresh(self._store, kind, thing, None, await act_of(request))
        return on("/reading", "asked")

    async def close_gap(self, request: web.Request) -> web.Response:
        """Close a gap of which a person knows that nothing is missing."""
        await reading.close_gap(self._store, await field(request, "gap"), await act_of(request))
        return on("/reading", "closed")
