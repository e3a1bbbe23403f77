"""Reads the mirror for an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.store import STORE_ERRORS, Store


@asynccontextmanager
async def reading(store: Store) -> AsyncIterator[AsyncConnection]:
    """A transaction that reads.

    Raises:
        StoreUnavailable: in the place of whatever the store's driver raises.
    """
    try:
        async with store.read() as connection:
            yield connection
    except STORE_ERRORS as error:
        raise store.unavailable(error) from error
