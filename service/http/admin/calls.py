"""A call of the admin API: declared once, by which it is routed, judged, answered and described."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from aiohttp import web
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from service.http.access import CALLER, needs
from service.http.problems import Problem, bad_request
from service.http.query import Query, body_of, path_id
from service.http.tokens import Scope
from service.mirror.store import Store
from service.operations.acting import Act, Way
from service.operations.work import Desk
from service.settings.model import Settings
from service.sync.director import Director
from service.text.documents import is_clean

#: Characters of a name or word, and of a reason, that a call may bring.
MAX_WORD, MAX_REASON = 500, 500
JSON_TYPE = "application/json"


#: The ends of time, as far as anybody can name a moment.
FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def storable(text: str) -> str:
    """A text that every store can hold.

    Raises:
        ValueError: it is not.
    """
    if not is_clean(text):
        raise ValueError("it has a character that no store holds (NUL, or half of a surrogate pair)")
    return text


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # a day at either end of time
        return FIRST if moment.year == 1 else LAST


def _written(value: Any) -> Any:
    """A number could be a moment, too, of nobody knows which unit."""
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("it is no time such as 2026-05-10T15:04:15Z")
    return value


def _digits(value: Any) -> Any:
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= 19):
        raise ValueError("it is no whole number")
    return value


def characters(shortest: int, longest: int) -> Any:
    """How long a text may be; it goes before `storable`, whose refusal of NUL the description tells."""
    return Field(min_length=shortest, max_length=longest, json_schema_extra={"pattern": "^[^\\u0000]*$"})


Word = Annotated[str, characters(1, MAX_WORD), AfterValidator(storable)]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written), AfterValidator(_in_utc)]
#: A place in a listing.
Place = Annotated[int, Field(ge=0, le=2**62), BeforeValidator(_digits)]
Limit = Annotated[int, Field(ge=1, le=1000, description="Rows at most."), BeforeValidator(_digits)]


class Parameters(BaseModel):
    """Query parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Body(BaseModel):
    """What a POST brings."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    reason: (
        Annotated[str, Field(max_length=MAX_REASON, description="Why, for the audit log."), AfterValidator(storable)]
        | None
    ) = None


P = TypeVar("P", bound=Parameters)
B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Means:
    """What calls are answered by; without `director` this process reads no catalog."""

    settings: Settings
    store: Store
    desk: Desk
    director: Director | None = None


@dataclass(frozen=True, slots=True)
class Asked(Generic[P, B]):
    """One request, judged."""

    means: Means
    act: Act
    #: Of the path.
    names: Mapping[str, str]
    query: P
    body: B


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Args:
        name: as the description names it.
        answer: the type of what `do` answers, a dataclass or a list of them.
        refusals: statuses that it may answer besides those of the door.
        look: where to look on, after what is only begun (202): a path, with names of the answer's members in it.
    """

    method: str
    path: str
    name: str
    summary: str
    answer: Any
    do: Callable[[Asked[Any, Any]], Awaitable[Any]]
    query: type[Parameters] = Parameters
    body: type[Body] = Body
    status: int = 200
    refusals: tuple[int, ...] = ()
    look: str = ""

    def route(self, means: Means, beside: Sequence[Call]) -> web.RouteDef:
        """Where it is answered, for whoever may operate; the fixed words of calls beside it are no names."""

        async def handle(request: web.Request) -> web.Response:
            return await self._handle(request, means)

        root, _, last = self.path.rpartition("/")
        words = {one.path.removeprefix(f"{root}/") for one in beside if one.path.startswith(f"{root}/")}
        fixed = "|".join(sorted(word for word in words if word.isalpha()))
        name = f"(?!(?:{fixed})$)[^/]+" if fixed and last.startswith("{") else "[^/]+"
        path = self.path.replace("}", f":{name}}}")
        handler = needs(Scope.OPERATE, handle)
        if self.method == "GET":
            return web.get(path, handler, allow_head=False)
        return web.post(path, handler)

    async def _handle(self, request: web.Request, means: Means) -> web.Response:
        query = _query(request, self.query)
        body = _body(await body_of(request), self.body) if self.method == "POST" else self.body()
        act = Act(request[CALLER].name, Way.API, body.reason)
        names = {name: path_id(request, name) for name in request.match_info}
        told = msgspec.to_builtins(await self.do(Asked(means, act, names, query, body)))
        headers = {"Location": self.look.format_map(told)} if self.look else {}
        return answer(told, self.status, headers)


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Plain values as JSON; half of a surrogate pair, which a message's header may hold, stays."""
    return web.Response(text=json.dumps(value), status=status, content_type=JSON_TYPE, headers=headers)


def _query(request: web.Request, model: type[P]) -> P:
    Query(request, *model.model_fields)
    told = {name: value for name, value in request.query.items() if name in model.model_fields}
    try:
        return model.model_validate(told)
    except ValidationError as error:
        raise _refused(error, model) from None


def _body(raw: bytes, model: type[B]) -> B:
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise _refused(error, model) from None


def _refused(error: ValidationError, model: type[BaseModel]) -> Problem:
    """The first thing that is wrong; what was sent is not shown again, it may be a body with secrets in it."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return bad_request(f"There is no member {place[:100]!r}; there are {', '.join(sorted(model.model_fields))}.")
    if not place:
        return bad_request(f"The body is not usable: {first['msg']}.")
    return bad_request(f"{place[:100]} is not usable: {first['msg']}.")
