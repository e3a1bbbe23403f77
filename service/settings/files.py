"""Files that change while the service runs: secrets rotate, tokens are added."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class Watched(Generic[T]):
    """What a file says, read again when it changed.

    Args:
        parse: makes the value of the file's text; what it raises the first time is raised, later the old value stays.
    """

    def __init__(self, path: Path, parse: Callable[[str], T]) -> None:
        self._path = path
        self._parse = parse
        self._seen = self._stamp()
        self._value = parse(path.read_text(encoding="utf-8"))

    @property
    def value(self) -> T:
        """The value as the file says now; while it cannot be read or used, as it said before."""
        try:
            stamp = self._stamp()
            if stamp != self._seen:
                self._value = self._parse(self._path.read_text(encoding="utf-8"))
                self._seen = stamp
        except (OSError, ValueError):  # it is just being written anew: looked at again the next time
            return self._value
        return self._value

    def _stamp(self) -> tuple[int, int]:
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_size
