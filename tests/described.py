"""Schemathesis asks one operation at a time, as a description has them.

Its own `parametrize` makes tests of one name under pytest 9.2, of which xdist runs the first and no other; and every
worker that collects them makes all examples of all operations, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemathesis.core.result import Ok
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.schemas import BaseSchema

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def operations(document: dict[str, Any]) -> list[str]:
    """What Schemathesis calls each operation of an OpenAPI document."""
    return [f"{name.upper()} {path}" for path, item in document["paths"].items() for name in item if name in _METHODS]


def asked(schema: BaseSchema, operation: str, check: Callable[..., None]) -> Callable[[], None]:
    """A test of one operation: `check(case)` with examples, with what is at the edges, and with what is made."""
    (made,) = get_all_tests(schema=schema.include(name=operation), test_func=check, settings=None, given_kwargs=None)
    assert isinstance(made, Ok), made
    _, test = made.ok()
    return test
