"""What may go wrong while the catalog is read: which of its answers mean what, and a store that fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from service.errors import (
    CatalogAnswerInvalid,
    CatalogAnswerTooLarge,
    CatalogFailed,
    CatalogForbidden,
    CatalogGone,
    CatalogLeadsElsewhere,
    CatalogNotFound,
    CatalogRejected,
)
from service.mirror.store import STORE_ERRORS, Store

#: What a part of the catalog answers where it does not exist, or not for us.
ABSENT = (CatalogForbidden, CatalogNotFound, CatalogGone, CatalogRejected, CatalogAnswerTooLarge)
#: What a part of the catalog answers that is out of order, though the catalog as such may be well.
BROKEN = (CatalogFailed, CatalogAnswerInvalid, CatalogLeadsElsewhere)


class guarded:
    """A transaction whose failure is `StoreUnavailable`."""

    def __init__(self, store: Store, transaction: Any) -> None:
        self._store = store
        self._transaction = transaction

    async def __aenter__(self) -> Any:
        async with in_terms_of(self._store):
            return await self._transaction.__aenter__()

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> Any:
        async with in_terms_of(self._store):
            handled = await self._transaction.__aexit__(kind, error, trace)
        if isinstance(error, STORE_ERRORS) and not handled:
            raise self._store.unavailable(error) from error
        return handled


@asynccontextmanager
async def in_terms_of(store: Store) -> AsyncIterator[None]:
    """What a store raises when it fails is `StoreUnavailable` outside of this."""
    try:
        yield
    except STORE_ERRORS as error:
        raise store.unavailable(error) from error
