"""What packages bring along, found through entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

from service.errors import PackageUnusable


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
