"""Files that change while the service runs: secrets rotate, tokens are added, certificates are renewed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import SecretStr

T = TypeVar("T")


class Watched(Generic[T]):
    """What is made of a file, made again when the file changed: written anew, replaced, or another one behind a link.

    Args:
        make: makes the value of the file; what it raises the first time is raised, later the old value stays.
    """

    def __init__(self, path: Path, make: Callable[[Path], T]) -> None:
        self._path = path
        self._make = make
        self._seen = self._stamp()
        self._value = make(path)

    @classmethod
    def text(cls, path: Path, parse: Callable[[str], T]) -> Watched[T]:
        """What its text says."""
        return cls(path, lambda file: parse(text_of(file)))

    @property
    def value(self) -> T:
        """The value as the file says now; while it cannot be read or used, as it said before."""
        try:
            stamp = self._stamp()
            if stamp != self._seen:
                self._value = self._make(self._path)
                self._seen = stamp
        except (OSError, ValueError):  # it is just being written anew: looked at again the next time
            return self._value
        return self._value

    def _stamp(self) -> tuple[int, int, int]:
        """What differs of another file, or another content: nobody can set the time of a change back (`st_ctime`)."""
        stat = self._path.stat()
        return stat.st_ino, stat.st_ctime_ns, stat.st_size


def text_of(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


class FileSecret(SecretStr):
    """A secret that stands in a file: whoever asks for it gets what the file holds now.

    Args:
        check: raises `ValueError` for a text that cannot be the secret; what was there stays then.

    Raises:
        OSError, ValueError: the file cannot be read, or holds no such secret.
    """

    def __init__(self, path: Path, check: Callable[[str], Any]) -> None:
        def parse(text: str) -> str:
            secret = text.strip()
            if not secret:
                raise ValueError("it is empty")
            check(secret)
            return secret

        self._held = Watched.text(path, parse)
        super().__init__(self._held.value)

    def get_secret_value(self) -> str:
        """The secret of this moment."""
        return self._held.value
