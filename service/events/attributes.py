"""The attributes of assets of any type as leaves: what has no columns of its own can be asked for in SQL, too.

A path is the names below the attribute, joined with dots, and places in lists: `a.b[2].c`. A name that holds a dot, a
bracket or a quote, or nothing, stands in brackets as JSON text: `a["b.c"]`. So no two places have the same path.
Objects are walked by name, whatever their order: equal states have equal leaves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from service.changes import AttributeLeaf
from service.text.documents import key_text

#: Attributes whose content has views of its own: `v1_asset_columns`, `v1_asset_terms`, those of classifications,
#: `v1_connections`, and those of profiles. What `data_asset` says beside its columns is how a table is named, which
#: `connection_path` says: as rows it would cost a third of all that a data asset costs.
ELSEWHERE = frozenset({"data_asset", "column_info", "asset_terms", "connection", "data_profile"})
#: Leaves of one asset; where there are more, one without a value stands for the rest.
MAX_LEAVES = 500
#: Bytes of a path; what is longer ends with a digest.
PATH_BYTES = 1024

_UNPLAIN = re.compile(r'[.\[\]"]')


def leaves_in(entity: dict[str, Any]) -> tuple[AttributeLeaf, ...]:
    """The leaves of a card's attributes; null, and objects and lists without a member, say nothing and are none."""
    found: list[AttributeLeaf] = []
    for attribute in sorted(entity.keys() - ELSEWHERE):
        for path, leaf in _walk(entity[attribute]):
            if len(found) == MAX_LEAVES:
                return (*found, AttributeLeaf(attribute, path, None))
            found.append(AttributeLeaf(attribute, path, leaf))
    return tuple(found)


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Paths and values, depth first; without recursion, and looking at no more than is asked for."""
    if not isinstance(value, dict | list):
        if value is not None:
            yield "", value
        return
    stack = [_members("", value)]
    while stack:
        for path, member in stack[-1]:
            if isinstance(member, dict | list):
                if member:
                    stack.append(_members(path, member))
                    break
            elif member is not None:
                yield path, member
        else:
            stack.pop()


def _members(path: str, value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    # Cut on the way: long names that nest would be put together anew for each leaf.
    path = path if len(path) <= PATH_BYTES else key_text(path, PATH_BYTES)
    if isinstance(value, list):
        for place, member in enumerate(value):
            yield f"{path}[{place}]", member
        return
    for name in sorted(value):
        if not name or _UNPLAIN.search(name):
            yield f"{path}[{json.dumps(name, ensure_ascii=False)}]", value[name]
        else:
            yield f"{path}.{name}" if path else name, value[name]
