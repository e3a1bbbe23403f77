"""Settings for tests that need a few kinds of things only."""

from __future__ import annotations

from typing import Any

import pytest

from service.kinds import KINDS
from service.settings.model import SyncSettings

#: For what is about the catalog, not about the store.
on_one_store = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


def only(*kinds: str, **settings: Any) -> SyncSettings:
    """Settings by which nothing but these kinds is read."""
    return SyncSettings(skip=[name for name in KINDS if name not in kinds], **settings)
