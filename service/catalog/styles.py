"""Styles of paging: each tells from an answer where the next page is (docs/contract.md, "Pages").

A style is a pure function of what came back. It tells the place of the next page as a small JSON object, or that there
is none. Links are reduced to their query: their hosts are often internal ones, and our token is not for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, TypeGuard
from urllib.parse import parse_qsl, urlsplit

from service.catalog.answer import Answer
from service.catalog.client import Request

#: Where a page is: what its request has over that of the first. Empty: the first page.
Place = dict[str, Any]


@dataclass(frozen=True)
class Style(ABC):
    """How a listing tells where its next page is."""

    @abstractmethod
    def request(self, first: Request, place: Place) -> Request:
        """The request for the page at this place."""

    @abstractmethod
    def after(self, first: Request, place: Place, answer: Answer, items: list[dict[str, Any]]) -> Place | None:
        """The place of the next page; None after the last.

        Raises:
            CatalogAnswerInvalid: it is told in a way that cannot be read.
        """


class Whole(Style):
    """No pages: one answer is all."""

    def request(self, first: Request, place: Place) -> Request:
        """As it is."""
        return first

    def after(self, first: Request, place: Place, answer: Answer, items: list[dict[str, Any]]) -> Place | None:
        """Never."""
        return None


class BodyBookmark(Style):
    """P1: `next` in the answer holds what to put into the body of the next request.

    No `next` is the end; pages before the end may be empty. It repeats the request, but not all of it (`include` is
    missing), so it is laid over ours.
    """

    def request(self, first: Request, place: Place) -> Request:
        """Our body with what `next` said."""
        return replace(first, body={**first.body, **place})

    def after(self, first: Request, place: Place, answer: Answer, items: list[dict[str, Any]]) -> Place | None:
        """What `next` says over our first request."""
        told = answer.object().get("next")
        if told is None:
            return None
        if not isinstance(told, dict):
            raise answer.unusable("`next` is no object")
        return {key: value for key, value in told.items() if value is not None and first.body.get(key) != value}


@dataclass(frozen=True)
class Bookmark(Style):
    """P3, P4 and projects: `bookmark` in the answer (`nextBookmark` of members) is the parameter of the next request.

    Some services send one with the last page too, so an empty page is the end whatever it says.
    """

    parameter: str

    def request(self, first: Request, place: Place) -> Request:
        """With the parameter."""
        return _with(first, place)

    def after(self, first: Request, place: Place, answer: Answer, items: list[dict[str, Any]]) -> Place | None:
        """The bookmark, after a page with items."""
        token = (_token(answer, "bookmark") or _token(answer, "nextBookmark")) if items else None
        return None if token is None else {self.parameter: token}


@dataclass(frozen=True)
class BookmarkOrSkip(Style):
    """P2: `nextBookmark` and `nextSkip`, present with the last page too: only an empty page is the end."""

    bookmark: str
    skip: str

    def request(self, first: Request, place: Place) -> Request:
        """With the parameter."""
        return _with(first, place)

    def after(self, first: Request, place: Place, answer: Answer, items: list[dict[str, Any]]) -> Place | None:
        """The bookmark where there is one, else the number to skip."""
        if not items:
            return None
        token = _token(answer, "nextBookmark")
        if token is not None:
            return {self.bookmark: token}
        skip = answer.object().get("nextSkip")
        return {self.skip: str(skip)} if is_count(skip) and skip else None


@dataclass(frozen=True)
class Link(Style):
    """P5 and P7: `next` holds a link (or is one), and perhaps its `start` token; no `next` is the end.

    Of the link the query is taken, without what our request says differently: the page's own parameters alone may
    change on the way.
    """

    start: str
    limit: str

    def request(self, first: Request, place: Place) -> Request:
        """With the parameters that the link had."""
        return _with(first, place)

    def after(self, first: Request, place: Place, answer: Answer, items: list[dict[str, Any]]) -> Place | None:
        """The query of the link over our first request."""
        told = answer.object().get("next")
        if told is None:
            return None
        link, token = (told.get("href"), told.get("start")) if isinstance(told, dict) else (told, None)
        if not isinstance(link, str | None) or not isinstance(token, str | int | None):
            raise answer.unusable("`next` holds no link")
        found = {} if link is None else _query_of(answer, link)
        paging = (self.start, self.limit)
        found = {name: value for name, value in found.items() if name not in first.query or name in paging}
        if token not in (None, ""):
            found[self.start] = str(token)
        return {name: value for name, value in found.items() if first.query.get(name) != value}


@dataclass(frozen=True)
class Offset(Style):
    """P6: `offset` counts items and is a multiple of `limit`; an empty or short page is the end.

    `next` says nothing: it is there with the last page too. A server may allow fewer items than we ask for, and says so
    in `limit`; a page that is short of what it says it holds in all (`count`) is not the last.
    """

    offset: str
    limit: str
    total: str | None = None

    def request(self, first: Request, place: Place) -> Request:
        """With offset and limit."""
        return _with(first, place)

    def after(self, first: Request, place: Place, answer: Answer, items: list[dict[str, Any]]) -> Place | None:
        """The next multiple of the limit."""
        value = answer.object()
        limit = int({**first.query, **place}[self.limit])
        allowed = value.get("limit")
        if is_count(allowed) and 0 < allowed < limit:
            limit = allowed
        at = int(place.get(self.offset, 0)) + limit
        total = value.get(self.total) if self.total else None
        is_short = len(items) < limit and not (is_count(total) and total > at)
        return None if not items or is_short else {self.offset: str(at), self.limit: str(limit)}


@dataclass(frozen=True)
class NextToken(Style):
    """Jobs and runs: `next` in the answer is a text, the parameter of the next request."""

    parameter: str

    def request(self, first: Request, place: Place) -> Request:
        """With the parameter."""
        return _with(first, place)

    def after(self, first: Request, place: Place, answer: Answer, items: list[dict[str, Any]]) -> Place | None:
        """The token; an object is taken for one that holds a link or the token."""
        told = answer.object().get("next")
        if isinstance(told, dict):
            link = told.get("href")
            told = _query_of(answer, link).get(self.parameter) if isinstance(link, str) else told.get("next")
        if told in (None, ""):
            return None
        if not isinstance(told, str | int):
            raise answer.unusable("`next` is no text")
        return {self.parameter: str(told)}


def _with(first: Request, place: Place) -> Request:
    return first.with_query({**first.query, **place})


def _token(answer: Answer, key: str) -> str | None:
    token = answer.object().get(key)
    if token in (None, ""):
        return None
    if not isinstance(token, str | int):
        raise answer.unusable(f"`{key}` is no text")
    return str(token)


def _query_of(answer: Answer, link: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))
    except ValueError:
        raise answer.unusable("`next` holds what is no link") from None


def is_count(value: Any) -> TypeGuard[int]:
    """Whether it is a number of things."""
    return isinstance(value, int) and not isinstance(value, bool)
