"""What to do about the words of a database is told with them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from pydantic import SecretStr

from service.mirror.store import Store
from service.settings.model import StoreSettings


def test_a_sqlite_without_its_search_of_texts_is_told_as_such(tmp_path: Path) -> None:
    store = Store(StoreSettings(url=SecretStr(f"sqlite:///{tmp_path}/mirror.db")))
    for problem in ("no such module: fts5", "error in tokenizer: no such tokenizer: trigram"):
        assert "FTS5" in store.unavailable(sqlite3.OperationalError(problem)).advice()
