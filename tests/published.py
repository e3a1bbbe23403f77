"""OpenLineage's facets as its schemas have them, by the classes that openlineage-python generates from these."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
from openlineage.client import generated

from service.openlineage import schema

_SPECIFICATION = "https://openlineage.io/spec/"


@cache
def classes() -> dict[str, type]:
    """Every class of a facet, and of what a facet holds, by its name in the schemas."""
    modules = (
        importlib.import_module(f"{generated.__name__}.{one.name}") for one in pkgutil.iter_modules(generated.__path__)
    )
    return {name: one for module in modules for name, one in vars(module).items() if isinstance(one, type)}


def problems_of(event: dict[str, Any]) -> list[str]:
    """What is not as the specification has it: of the event itself, and of each facet that it defines."""
    found = [] if schema.is_valid(event) else ["the event"]
    for place, facet in _facets(event):
        url = str(facet.get("_schemaURL", ""))
        name = url.rpartition("/")[2]
        if not url.startswith(_SPECIFICATION) or name not in classes() or name == "BaseFacet":
            continue
        try:
            msgspec.convert(facet, classes()[name])
        except msgspec.ValidationError as error:
            found.append(f"{place}: {error}")
    return found


def _facets(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    parts = {"run": event.get("run", {}), "job": event.get("job", {}), "dataset": event.get("dataset", {})}
    for side in ("inputs", "outputs"):
        parts |= {f"{side}.{place}": one for place, one in enumerate(event.get(side, []))}
    for place, part in parts.items():
        for kind in ("facets", "inputFacets", "outputFacets"):
            for name, facet in part.get(kind, {}).items():
                yield f"{place}.{kind}.{name}", facet
