"""Who sees a page: sessions in cookies that scripts cannot read, and forms that no other page can send.

A page is asked for by a browser, which sends its cookie whoever made it send. So the cookie is `SameSite=Strict`, every
form brings a token made of the session, and a form that comes from elsewhere (`Origin`, `Sec-Fetch-Site`) is refused
whatever it brings.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from aiohttp import hdrs, web

from service.http.access import ANYBODY, CALLER, Access, is_local
from service.http.console.forms import COOKIE, FORM_FIELD, form_token
from service.http.console.rendering import Pages
from service.http.origins import is_foreign
from service.http.problems import Problem, forbidden, problem_of
from service.http.tokens import Caller, Scope
from service.mirror import sessions
from service.mirror.sessions import Session
from service.mirror.store import Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SESSION = web.RequestKey("session", Session)
#: What a page may load and do: what we serve, nothing else (docs/console.md).
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Door:
    """Lets people in, and wraps what makes a page."""

    def __init__(self, access: Access, store: Store, pages: Pages, lasts_s: float) -> None:
        self._access = access
        self._store = store
        self._pages = pages
        self._lasts_s = lasts_s

    @property
    def asks(self) -> bool:
        """Whether people have to say who they are; else whoever sits at this machine reads."""
        return self._access.has_tokens

    def page(self, scope: Scope, handler: Handler) -> Handler:
        """The handler, for people with this scope; failures become pages, too."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                caller = await self._caller(request)
                if caller is None:
                    return _secured(_to_sign_in(request))
                request[CALLER] = caller
                if scope not in caller.scopes:
                    raise forbidden(f"{caller.name} lacks the scope {scope}: sign in with a token that has it.")
                if request.method == hdrs.METH_POST:
                    await self._check_form(request)
                return _secured(await handler(request))
            except Exception as error:  # noqa: BLE001 (what is ours to mend is logged by problem_of)
                return _secured(self._pages.problem(request, problem_of(error, request)))

        return handle

    def open_page(self, handler: Handler) -> Handler:
        """The handler, for everybody: what signs people in, and what is said of itself."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                if not self.asks and not is_local(request.host):
                    raise forbidden("Without tokens the console answers this machine alone, under the name localhost.")
                if request.method == hdrs.METH_POST:
                    _check_origin(request)
                return _secured(await handler(request))
            except Exception as error:  # noqa: BLE001 (as above)
                return _secured(self._pages.problem(request, problem_of(error, request)))

        return handle

    async def sign_in(self, request: web.Request, caller: Caller, proof: str, to: str) -> web.Response:
        """Begin a session for somebody who has shown who they are, and lead them on."""
        answer = web.Response(status=303, headers={hdrs.LOCATION: local_path(to)})
        await self.begin(request, caller, proof, answer)
        return answer

    async def begin(self, request: web.Request, caller: Caller, proof: str, answer: web.Response) -> None:
        """Begin a session, which the browser keeps with this answer."""
        held = await sessions.begin(self._store, caller.name, caller.scopes, proof, self._lasts_s)
        secure = not is_local(request.host)  # over http a browser would keep it from us; people sit at this machine
        answer.set_cookie(
            COOKIE, held, max_age=int(self._lasts_s), path="/", httponly=True, samesite="Strict", secure=secure
        )

    async def sign_out(self, request: web.Request) -> web.Response:
        """End the session of this browser."""
        if held := request.cookies.get(COOKIE):
            await sessions.end(self._store, sessions.id_of(held))
        answer = web.Response(status=303, headers={hdrs.LOCATION: "/signin"})
        answer.del_cookie(COOKIE, path="/")
        return answer

    async def _caller(self, request: web.Request) -> Caller | None:
        """Who looks; None: nobody that we know.

        Raises:
            Problem: 403 from elsewhere, while there are no tokens.
        """
        if not self.asks:
            if not is_local(request.host):
                raise forbidden("Without tokens the console answers this machine alone, under the name localhost.")
            return ANYBODY
        held = request.cookies.get(COOKIE)
        session = await sessions.find(self._store, held) if held else None
        if session is None:
            return None
        request[SESSION] = session
        scopes = self._access.still(session.who, session.proof, session.scopes)
        return Caller(session.who, scopes) if scopes else None

    async def _check_form(self, request: web.Request) -> None:
        """Take forms of our own pages alone.

        Raises:
            Problem: 403, this one came from elsewhere or is old.
        """
        _check_origin(request)
        brought = (await request.post()).get(FORM_FIELD, "")
        known = form_token(request)
        if not isinstance(brought, str) or not hmac.compare_digest(brought.encode(), known.encode()):
            raise forbidden("The form is not of this session: load the page again, and send it from there.")


def local_path(text: str) -> str:
    """A path of ours to lead somebody to; anything else leads to the first page."""
    parts = urlsplit(text)
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return text if is_ours and text.isprintable() and "\\" not in text else "/"


def _check_origin(request: web.Request) -> None:
    if is_foreign(request):
        raise forbidden("The form came from another site's page: forms of the console's own pages alone are taken.")


def _to_sign_in(request: web.Request) -> web.Response:
    if "HX-Request" in request.headers:  # a part of a page: have the browser leave it
        return web.Response(status=401, headers={"HX-Redirect": "/signin"})
    wanted = request.path_qs if request.method == hdrs.METH_GET else "/"
    return web.Response(status=303, headers={hdrs.LOCATION: f"/signin?to={quote(wanted, safe='')}"})


def _secured(answer: web.StreamResponse) -> web.StreamResponse:
    if not answer.prepared:
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        answer.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    return answer


def unknown_token() -> Problem:
    """What somebody is told who brings a token that is not known."""
    return Problem(401, "not_authenticated", "The token is not known. Tokens stand in HTTP__TOKENS_FILE.")
