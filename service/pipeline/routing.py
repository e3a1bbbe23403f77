"""Which handler takes which routing key: declared on the handlers, overridden by settings.

A handler is a pure function from one event to its changes. A module of handlers is found through the entry point
group `catalog_mirror.handlers`, so anyone may add one from a package of their own:

    @handles("v2.things.*.POST", evidence=Evidence.ASSUMED)
    def thing_saved(event: Event) -> Iterator[Change]: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Any, TypeVar

import msgspec

from service.changes import Change
from service.errors import SettingInvalid
from service.events.keys import Pattern, words_of
from service.events.message import Event
from service.pipeline.installed import entries, loaded

GROUP = "catalog_mirror.handlers"
#: The name that a route is given in settings to drop what it matches.
IGNORE = "ignore"

T = TypeVar("T")


class Evidence(StrEnum):
    """How we know that a topic exists."""

    DOCUMENTED = "documented"
    OBSERVED = "observed"
    ASSUMED = "assumed"
    #: We make its messages ourselves, of what comes in over HTTP: the broker's queue is never bound to it.
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class Handler:
    """A named pure function from an event to changes, and the topics it takes by default."""

    name: str
    run: Callable[[Event], Iterable[Change]]
    patterns: tuple[Pattern, ...]
    evidence: Evidence
    #: What a body is read as, for the reference; None where it is read as it comes.
    body: type[msgspec.Struct] | None = None
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table: `handler` is None for topics that are ignored."""

    pattern: Pattern
    handler: Handler | None
    evidence: Evidence | None


def handles(
    *patterns: str, evidence: Evidence, reads: Callable[[Event], T] | None = None
) -> Callable[[Callable[[T], Iterable[Change]]], Handler]:
    """Declare a function as the handler of these topics.

    Args:
        patterns: binding patterns with AMQP's `*` and `#`.
        evidence: how we know of the topics.
        reads: turns the event into the typed body that the function takes; without it the function gets the event.
    """

    def declare(function: Callable[[Any], Iterable[Change]]) -> Handler:
        def run(event: Event) -> Iterable[Change]:
            return function(reads(event) if reads else event)

        body = getattr(getattr(reads, "__self__", None), "BODY", None)
        meaning = (function.__doc__ or "").strip().partition("\n")[0]
        return Handler(function.__name__, run, tuple(map(Pattern, patterns)), evidence, body, meaning)

    return declare


def handlers_of(module: ModuleType) -> list[Handler]:
    """The handlers that a module declares, by themselves or in tuples."""
    declared = [value if isinstance(value, tuple) else (value,) for value in vars(module).values()]
    return [value for values in declared for value in values if isinstance(value, Handler)]


def installed_handlers() -> list[Handler]:
    """The handlers of every installed package, ours among them; raises `PackageUnusable`."""
    return [handler for entry in entries(GROUP) for handler in handlers_of(loaded(entry))]


class Router:
    """The routing table: the most specific pattern that matches takes the event; settings go before defaults."""

    def __init__(
        self, handlers: Iterable[Handler], overrides: Mapping[str, str] | None = None, *, defaults: bool = True
    ):
        known = _by_name(handlers)
        self._chosen = dict(overrides or {}), defaults
        declared = [Route(p, h, h.evidence) for h in known.values() for p in h.patterns] if defaults else []
        chosen = [_override(pattern, name, known) for pattern, name in (overrides or {}).items()]
        replaced = {route.pattern for route in chosen}
        kept = [route for route in declared if route.pattern not in replaced]
        self.routes = [*_most_specific_first(chosen), *_most_specific_first(kept)]

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process finds the installed handlers by itself, and makes the same table of them."""
        return _installed_router, self._chosen

    def route(self, words: tuple[str, ...]) -> Route | None:
        """The route that takes a key with these words; None for an unknown key."""
        for route in self.routes:
            if route.pattern.matches(words):
                return route
        return None

    def bindings(self) -> list[str]:
        """The patterns that our queue has to be bound with."""
        bound = (route for route in self.routes if route.handler and route.evidence is not Evidence.OURS)
        return sorted({route.pattern.text for route in bound})


def _installed_router(overrides: Mapping[str, str], defaults: bool) -> Router:
    return Router(installed_handlers(), overrides, defaults=defaults)


def _by_name(handlers: Iterable[Handler]) -> dict[str, Handler]:
    known: dict[str, Handler] = {}
    for handler in handlers:
        if known.setdefault(handler.name, handler) is not handler:
            problem = f"two installed packages have a handler called {handler.name!r}; rename one"
            raise SettingInvalid(setting=GROUP, problem=problem)
    return known


def _most_specific_first(routes: list[Route]) -> list[Route]:
    return sorted(routes, key=lambda route: route.pattern.specificity)


def _override(pattern: str, name: str, known: Mapping[str, Handler]) -> Route:
    if not words_of(pattern):
        raise SettingInvalid(
            setting="CATALOG_MIRROR_ROUTES__OVERRIDES", problem="an empty pattern matches nothing useful"
        )
    if name == IGNORE:
        return Route(Pattern(pattern), None, None)
    if name not in known:
        problem = f"there is no handler {name!r}; there are {', '.join([*sorted(known), IGNORE])}"
        raise SettingInvalid(setting="CATALOG_MIRROR_ROUTES__OVERRIDES", problem=problem)
    return Route(Pattern(pattern), known[name], None)
