"""As few jobs as possible for many wishes: ids of one operation go together, each once, bounded, sorted. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.targets.pentaho.operations import OPERATIONS
from service.targets.pentaho.rules import Wish


@dataclass(frozen=True, slots=True)
class Planned:
    """A job to be asked for; `parts` says which delivery brings which id."""

    operation: str
    request: dict[str, Any]
    follows: tuple[str, ...]
    asked_by: str
    parts: tuple[tuple[str, str], ...] = ()


def jobs(wishes: Mapping[str, Sequence[Wish]], scope_max: int) -> list[Planned]:
    """The jobs for the wishes of deliveries, by their ids: per operation ceil(distinct ids / scope_max)."""
    wanted: dict[Wish, dict[str, set[str]]] = {}
    for delivery_id, some in wishes.items():
        for wish in some:
            by_id = wanted.setdefault(wish._replace(ids=()), {})
            for pentaho_id in wish.ids:
                by_id.setdefault(pentaho_id, set()).add(delivery_id)
    return [job for wish in sorted(wanted) for job in _of_one_kind(wish, wanted[wish], scope_max)]


def _of_one_kind(wish: Wish, wanted: Mapping[str, set[str]], scope_max: int) -> Iterable[Planned]:
    operation = OPERATIONS[wish.operation]
    size = scope_max if operation.many else 1
    ids, more = sorted(wanted), json.loads(wish.more)
    for start in range(0, len(ids), size):
        some = ids[start : start + size]
        parts = tuple((delivery_id, one) for one in some for delivery_id in sorted(wanted[one]))
        yield Planned(operation.name, operation.request(some, more), wish.follows, wish.asked_by, parts)


def halves(operation: str, request: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Two requests for one, to find which of its ids is refused; None where it is about one thing alone."""
    what = OPERATIONS[operation]
    ids = what.ids_of(request)
    if not what.many or len(ids) < 2:
        return None
    middle = len(ids) // 2
    return what.request(ids[:middle], request), what.request(ids[middle:], request)
