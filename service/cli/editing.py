"""Editing the body of a dead letter: from a file, by paths, or in an editor."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from service.errors import DataError, MirrorError, UsageError
from service.operations.dead_letters import MAX_DEPTH, pretty
from service.text import documents


class EditImpossible(MirrorError):
    """The body cannot be edited so: {problem}."""

    remedy = "Give the whole body with --body FILE, or `--body -` for stdin."


def edited(body: bytes, file: str | None, assignments: Sequence[str]) -> bytes:
    """The new body, nothing of it hidden yet.

    Args:
        file: where the whole new body is; `-` is stdin.
        assignments: `path.to.field=value` each; the value is JSON, or text where it is none.

    Raises:
        UsageError, EditImpossible: what is asked for cannot be done.
    """
    if file and assignments:
        raise UsageError(problem="choose --body or --set, not both")
    if file:
        return sys.stdin.buffer.read() if file == "-" else _read(file)
    if assignments:
        return _assigned(body, assignments)
    if not sys.stdin.isatty():
        raise UsageError(problem="without a terminal give --body FILE or --set PATH=VALUE")
    text = typer.edit(pretty(body), extension=".json")  # type: ignore[attr-defined]
    if text is None:
        raise EditImpossible(problem="the editor saved nothing")
    return str(text).encode()


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise EditImpossible(problem=f"{file}: {error.strerror}") from None


def _assigned(body: bytes, assignments: Sequence[str]) -> bytes:
    try:
        value = documents.read(body, MAX_DEPTH)
    except DataError as error:
        raise EditImpossible(problem=str(error)) from None
    for assignment in assignments:
        path, separator, text = assignment.partition("=")
        if not separator or not path:
            raise UsageError(problem=f"{assignment!r} is no PATH=VALUE")
        _assign(value, path.split("."), _value(text))
    return documents.canonical(value)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _assign(value: Any, path: list[str], new: Any) -> None:
    for name in path[:-1]:
        if not isinstance(value, dict):
            raise EditImpossible(problem=f"there is no object before {name!r}")
        value = value.setdefault(name, {})
    if not isinstance(value, dict):
        raise EditImpossible(problem=f"there is no object before {path[-1]!r}")
    value[path[-1]] = new
