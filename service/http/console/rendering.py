"""Pages: templates with what they show. Every text of outside is escaped, and its control characters are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import hdrs, web
from markupsafe import Markup, escape

from service import __version__
from service.http.access import CALLER
from service.http.console import files, parts
from service.http.console.forms import form_token
from service.http.problems import Problem
from service.http.tokens import Scope
from service.text.visible import visible, visible_json

_TEMPLATES = Path(__file__).parent / "templates"
#: Characters of a text that a table's cell shows; its page shows all.
SHORT = 200
#: What is said after an action, by the name that the address carries; so that a link can say nothing else.
NOTES = {
    "replayed": "{n} replayed.",
    "failed_again": "{n} failed again: the reason is below.",
    "to_be_read": "{n} will be read again by the running service.",
    "cannot_be_read": "{n} cannot be read again: there is no catalog to ask, or the item had no id.",
    "cut_off": "{n} cannot be replayed: the end of the body was not kept.",
    "discarded": "{n} discarded.",
    "edited": "The body was changed. Replay it to see whether it is good now.",
    "paused": "Paused. Every replica stops within seconds.",
    "resumed": "Goes on within seconds.",
    "asked": "The running service was asked for it.",
    "ended": "{n} ended.",
    "released": "Deliveries go out again.",
    "retried": "{n} are due now.",
    "closed": "{n} closed.",
    "removed": "{n} removed there.",
}


class Pages:
    """Makes pages of templates."""

    def __init__(self, *, acts: bool) -> None:
        #: Whether this port takes actions, and pages show buttons.
        self.acts = acts

    def show(self, request: web.Request, name: str, *, status: int = 200, **told: Any) -> web.Response:
        """A whole page."""
        caller = request.get(CALLER)
        common = {
            "caller": caller,
            "may_operate": caller is not None and Scope.OPERATE in caller.scopes,
            "acts": self.acts and caller is not None and Scope.OPERATE in caller.scopes,
            "path": request.path,
            "note": _note(request),
            "token": form_token(request),
            "scripts": parts.are_there(),
        }
        return web.Response(text=render(name, **common, **told), status=status, content_type="text/html")

    def problem(self, request: web.Request, problem: Problem) -> web.Response:
        """A failure as a page: what happened, and what to do."""
        answer = self.show(request, "problem.html", status=problem.status, problem=problem)
        answer.headers.update({name: value for name, value in problem.headers.items() if name != hdrs.WWW_AUTHENTICATE})
        return answer


def render(name: str, **told: Any) -> str:
    """A template with what it shows."""
    return _environment().get_template(name).render(**told)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
        auto_reload=False,
    )
    environment.filters |= {
        "ago": ago, "moment": moment, "seconds": seconds, "number": number, "percent": percent, "short": short,
        "indented": indented, "in_line": json.dumps, "as_is": escape, "as_json": as_json,
    }  # fmt: skip
    environment.globals |= {"static": files.link, "version": __version__}
    return environment


def _shown(value: Any) -> Any:
    """What stands in a page for a value: nothing for null, a text with its control characters shown."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return value


def moment(at: datetime | None) -> Markup:
    """A moment as people read it; the browser may say it in its own zone."""
    if at is None:
        return Markup("")
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(utc.isoformat(), utc.strftime("%Y-%m-%d %H:%M:%S"))


def ago(at: datetime | None) -> Markup:
    """How long ago a moment is, with the moment itself beside the pointer."""
    if at is None:
        return Markup("never")
    utc = at.astimezone(UTC)
    passed = seconds((datetime.now(UTC) - utc).total_seconds())
    return Markup('<time datetime="{0}" title="{1} UTC">{2} ago</time>').format(
        utc.isoformat(), utc.strftime("%Y-%m-%d %H:%M:%S"), passed
    )


def seconds(number_of: float | None) -> str:
    """A length of time as people say it."""
    if number_of is None:
        return "–"
    left = max(0.0, number_of)
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if left >= 2 * size:
            return f"{left / size:.0f} {name}"
    return f"{left:.0f} s" if left >= 1 or left == 0 else f"{left * 1000:.0f} ms"


def number(value: float | None) -> str:
    """A number with thin spaces between thousands."""
    if value is None:
        return "–"
    shown = f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:,.3g}"
    return shown.replace(",", "\u202f")


def percent(value: float | None) -> str:
    """A share, 0 to 1."""
    return "–" if value is None else f"{value:.0%}" if value in (0, 1) or 0.005 <= value <= 0.995 else f"{value:.2%}"


def short(value: str | None, length: int = SHORT) -> str:
    """The beginning of a long text."""
    return "" if value is None else value if len(value) <= length else f"{value[:length]}…"


def indented(body: Mapping[str, Any] | list[Any]) -> str:
    """JSON as people read it."""
    return json.dumps(body, indent=2, ensure_ascii=False, default=str)


def as_json(text: str) -> Markup:
    """A JSON text to be edited, which says the same as it did: control characters in it stand as JSON escapes."""
    return escape(visible_json(text))


def _note(request: web.Request) -> str | None:
    told = NOTES.get(request.query.get("note", ""))
    count = request.query.get("n", "1")
    return told.format(n=count if count.isdecimal() and len(count) < 10 else "?") if told else None
