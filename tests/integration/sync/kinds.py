"""Settings for tests that need a few kinds of things only."""

from __future__ import annotations

from typing import Any

import pytest

from service.settings.model import SyncSettings
from service.sync.readings import READINGS

#: For what is about the catalog, not about the store.
on_one_store = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


def only(*kinds: str, **settings: Any) -> SyncSettings:
    """Settings by which nothing but these kinds is read."""
    return SyncSettings(skip=[one.kind for one in READINGS if one.kind not in kinds], **settings)
