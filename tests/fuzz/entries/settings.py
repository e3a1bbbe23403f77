"""Settings: lines `NAME=value` of the environment, then, after a line `---`, the YAML file."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import ConfigurationError
from service.settings.model import load
from service.settings.sources import CONFIG_VARIABLE, PREFIX
from service.text import redaction
from tests.fuzz.harness import Bound, Entry

_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-settings-")
atexit.register(_FOLDER.cleanup)
FILE = Path(_FOLDER.name, "settings.yaml")
#: No setting names a file but this one: what may be read elsewhere is the machine's.
SECRET = Path(_FOLDER.name, "secret")
SECRET.write_text("hunter2\n")


def take(raw: bytes) -> None:
    environment, marked, file = raw.decode("utf-8", "replace").partition("\n---\n")
    FILE.write_text(file, encoding="utf-8")
    told = dict(_variables(environment))
    if marked:
        told[CONFIG_VARIABLE] = str(FILE)
    with _only(told):
        load()
    redaction.know(())


def _variables(environment: str) -> Iterator[tuple[str, str]]:
    for line in environment.splitlines():
        name, equals, value = line.replace("\0", "").partition("=")
        name = name.upper()
        if equals and name.startswith(PREFIX):
            yield name, str(SECRET) if name.endswith("_FILE") else value


@contextmanager
def _only(told: dict[str, str]) -> Iterator[None]:
    """These variables of ours and no others, for a while."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    os.environ.update(told)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


ENTRY = Entry(take, (ConfigurationError,), Bound(calls=200_000, calls_per_byte=1_000, memory=16_000_000))
