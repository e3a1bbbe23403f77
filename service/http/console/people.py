"""Signing in and out, who is signed in, what people did, and what the pages are made with."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from typing import Any

from aiohttp import hdrs, web

from service.http.access import BY_ISSUER, is_local
from service.http.console import parts
from service.http.console.door import SESSION, local_path, unknown_token
from service.http.console.screens import Means, Screen
from service.http.problems import Problem, bad_request, forbidden, sentence
from service.http.query import Query
from service.http.signin import PATIENCE_S, Pending, SignIn, SignInRefused
from service.http.tokens import Scope
from service.mirror import sessions
from service.operations import history
from service.operations.acting import Act, Way

#: What a browser keeps while the issuer asks who somebody is, and where it comes back to.
_PENDING, _BACK = "catalog_mirror_signing_in", "/signin/done"
#: Entries of the audit log on its page.
ENTRIES = 200
#: Characters of a token that is looked at.
_MAX_TOKEN = 16_384


class People(Screen):
    """`/signin`, `/signout`, `/sessions`, `/audit`, `/about`.

    Raises:
        SettingInvalid: people are to sign in with an issuer, and settings say only half of how.
    """

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        http, self._access = means.settings.http, means.access
        issuer = means.access.issuer
        self._by_issuer = SignIn(http, issuer) if issuer and http.oidc_client_id else None

    def shown(self) -> list[web.RouteDef]:
        """What is answered at either port."""
        everybody = self._door.open_page
        return [
            web.get("/signin", everybody(self.ask), allow_head=False),
            web.post("/signin", everybody(self.sign_in)),
            web.get("/signin/issuer", everybody(self.go_to_issuer), allow_head=False),
            web.get("/signin/done", everybody(self.come_back), allow_head=False),
            web.post("/signout", everybody(self._door.sign_out)),
            web.get("/about", everybody(self.about), allow_head=False),
            self.see("/sessions", self.sessions, Scope.READ),
            self.act("/sessions/end", self.end, Scope.READ),
            self.see("/audit", self.audit),
        ]

    async def ask(self, request: web.Request) -> web.Response:
        """The form that asks who somebody is."""
        if not self._door.asks:
            return web.Response(status=303, headers={hdrs.LOCATION: "/"})
        return self._ask(request, request.query.get("to", "/"))

    def _ask(self, request: web.Request, to: str, problem: Problem | None = None) -> web.Response:
        status = problem.status if problem else 200
        told = problem.message if problem else None
        answer = self._pages.show(request, "signin.html", status=status, to=to, problem=told, by_issuer=self._by_issuer)
        if problem and "Retry-After" in problem.headers:
            answer.headers["Retry-After"] = problem.headers["Retry-After"]
        return answer

    async def sign_in(self, request: web.Request) -> web.Response:
        """Begin a session, for somebody whose token is known."""
        form = await request.post()
        token, to = form.get("token"), form.get("to", "/")
        if not isinstance(token, str) or not isinstance(to, str):
            raise bad_request("A token is a text.")
        try:
            if not token.strip() or len(token) > _MAX_TOKEN:
                raise unknown_token()
            caller, proof = await self._access.signed_in(request, token.strip())
        except Problem as problem:
            return self._ask(request, to, problem)
        return await self._door.sign_in(request, caller, proof, to)

    async def go_to_issuer(self, request: web.Request) -> web.Response:
        """To the issuer, which asks who somebody is."""
        begun = await self._issued().begin()
        kept = json.dumps([asdict(begun.pending), local_path(request.query.get("to", "/"))])
        answer = web.Response(status=303, headers={hdrs.LOCATION: begun.url})
        # Lax: the issuer's page leads back here, and a strict cookie would not come along.
        answer.set_cookie(
            _PENDING, base64.urlsafe_b64encode(kept.encode()).decode(), max_age=int(PATIENCE_S), path=_BACK,
            httponly=True, samesite="Lax", secure=not is_local(request.host),
        )  # fmt: skip
        return answer

    async def come_back(self, request: web.Request) -> web.Response:
        """Begin a session for whom the issuer sends back."""
        issued = self._issued()
        try:
            pending, to = json.loads(base64.urlsafe_b64decode(request.cookies.get(_PENDING, "")))
            caller = await issued.finish(Pending(**pending), request.query)
            if not caller.scopes:
                raise SignInRefused(problem=f"{caller.name} has none of the scopes {', '.join(Scope)}")
        except (ValueError, TypeError, AttributeError):
            told = forbidden("This browser did not ask to sign in, or asked too long ago. Sign in anew.")
            return self._ask(request, "/", told)
        except SignInRefused as refused:
            return self._ask(request, "/", forbidden(sentence(refused)))
        answer = self._pages.show(request, "signed_in.html", to=local_path(str(to)))
        await self._door.begin(request, caller, BY_ISSUER, answer)
        answer.del_cookie(_PENDING, path=_BACK)
        return answer

    def _issued(self) -> SignIn:
        if self._by_issuer is None:
            raise Problem(404, "does_not_exist", "Nobody signs in by an issuer here: HTTP__OIDC_CLIENT_ID is not set.")
        return self._by_issuer

    async def sessions(self, request: web.Request) -> web.Response:
        """Who is signed in; who may not operate sees their own sessions."""
        mine = request.get(SESSION)
        found = await sessions.running(self._store) if mine else []
        if mine and Scope.OPERATE not in mine.scopes:
            found = [one for one in found if one.who == mine.who]
        shown: dict[str, Any] = {
            "sessions": found,
            "mine": mine.session_id if mine else None,
        }
        return self._pages.show(request, "sessions.html", **shown)

    async def end(self, request: web.Request) -> web.Response:
        """End a session: one's own, or with the right to operate anybody's."""
        wanted, mine = str((await request.post()).get("session", "")), request.get(SESSION)
        if mine is None:
            raise forbidden("Nobody is signed in.")
        is_own = wanted == mine.session_id
        if not is_own and not (self._pages.acts and Scope.OPERATE in mine.scopes):
            raise forbidden("Others' sessions are ended at the admin port, with the scope operate.")
        ended = await sessions.end(self._store, wanted)
        if ended and not is_own:
            async with self._store.writing() as connection:
                await Act(mine.who, Way.CONSOLE).record(connection, "session.end", ended.who)
        place = "/signin" if is_own else f"/sessions?note=ended&n={1 if ended else 0}"
        return web.Response(status=303, headers={hdrs.LOCATION: place})

    async def audit(self, request: web.Request) -> web.Response:
        """What people did, the newest first."""
        query = Query(request, "subject", "action")
        subject, action = query.text("subject") or None, query.text("action") or None
        found = await history.entries(self._store, subject, action, ENTRIES + 1)
        told: dict[str, Any] = {
            "entries": found[:ENTRIES],
            "cut": len(found) > ENTRIES,
            "subject": subject,
            "action": action,
        }
        return self._pages.show(request, "audit.html", **told)

    async def about(self, request: web.Request) -> web.Response:
        """The packages in the browser, with their licences."""
        versions, licences = parts.versions(), parts.licences()
        packages = [(name, versions[name], licences[name], parts.licence_text(name)) for name in parts.shipped()]
        return self._pages.show(request, "about.html", packages=packages)
