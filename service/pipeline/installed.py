"""What packages bring along, found through entry points."""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from service.errors import PackageUnusable


def entries(group: str) -> tuple[EntryPoint, ...]:
    """What is installed where Python looks now, in a group; found once, as that opens a file of every package."""
    return _entries(group, tuple(sys.path))


@cache
def _entries(group: str, _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


def loaded(entry: EntryPoint) -> Any:
    """What an entry point names.

    Raises:
        PackageUnusable: it cannot be imported.
    """
    try:
        return entry.load()
    except Exception as error:
        package = entry.dist.name if entry.dist else "an installed package"
        problem = f"{type(error).__name__}: {error}"
        raise PackageUnusable(
            what=entry.value, package=package, problem=problem, folder=entry.module.partition(".")[0]
        ) from error
