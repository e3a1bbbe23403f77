"""Statements are compiled once in a worker. tests/conftest.py loads this.

SQLAlchemy keeps what it compiled with the engine, of which the service has one; here every test has its own, and each
would compile the same hundreds of statements.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.util import LRUCache

#: Statements that are kept: several times as many as all tests of a worker share.
_KEPT = 5_000


class _Compiled(LRUCache[Any, Any]):
    """What was compiled, whichever engine of a dialect asks; keys begin with the engine's own instance of it."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_shared(key), default)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(_shared(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_shared(key), value)


def _shared(key: Any) -> Any:
    return type(key[0]), *key[1:]


_COMPILED = _Compiled(_KEPT)


@sa.event.listens_for(sa.Engine, "engine_connect")
def _use(connection: sa.Connection) -> None:
    connection.execution_options(compiled_cache=_COMPILED)
