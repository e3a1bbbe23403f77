"""What the commands share: settings, output, and how errors are told."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from service.errors import ConfigurationError, MirrorError, UsageError
from service.mirror import schema
from service.mirror.privacy import held
from service.mirror.store import Store
from service.operations.acting import Act, Way
from service.settings.model import LogSettings, Settings, load
from service.settings.sections import Duration
from service.telemetry.logs import configure_logging
from service.text.visible import visible, visible_json

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


class Screen(Console):
    """A console on which nothing that came from outside is obeyed: control characters are shown."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Markup as a text; shown before Rich takes some of these characters out."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Whatever is printed; Rich's own sequences are made of styles, later."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


#: Columns where nobody looks at a screen: tables in a file or pipe are not squeezed.
_PIPE_WIDTH = 160
#: What people read goes to stdout, what goes wrong to stderr.
out = Screen(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
err = Screen(stderr=True, highlight=False)


class WithDefault(TyperGroup):
    """A group whose command `show` is meant where none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words of the command line, with the command that they leave out."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["show", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """What the command that is meant takes, and the others."""
        self.commands["show"].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def quiet_settings() -> Settings:
    """Settings for a command that a person waits for: only warnings are logged."""
    settings = load()
    level = settings.log.level if "level" in settings.log.model_fields_set else "warning"
    configure_logging(LogSettings(level=level, format=settings.log.format))
    return settings


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run the command's coroutine."""
    return asyncio.run(work)


@asynccontextmanager
async def opened_store(settings: Settings, *, migrate: bool = False) -> AsyncIterator[Store]:
    """The store, with a schema that this version can use.

    Raises:
        StoreUnavailable, SchemaMissing, StoreNotWritable: with what to do.
    """
    store = Store(settings.store)
    try:
        store.check_writable()
        if migrate and settings.store.migrate:
            await schema.migrate(settings.store)
        await schema.check(store)
        await held.load(store)
        async with store.translated():
            yield store
    finally:
        await store.close()


def on_store(work: Callable[[Store], Coroutine[Any, Any, T]], *, migrate: bool = False) -> T:
    """What some work on the store answers; raises as `opened_store`."""

    async def done() -> T:
        async with opened_store(quiet_settings(), migrate=migrate) as store:
            return await work(store)

    return run_async(done())


def print_json(value: Any) -> None:
    """One JSON value, times as ISO 8601."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None)
    sys.stdout.write(visible_json(text.encode("utf-8", "replace").decode("utf-8")) + "\n")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
    """A table for people, or one line where there is nothing."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    if table.row_count:
        out.print(table)
    else:
        out.print(empty)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return visible(str(value))


def report(error: MirrorError) -> int:
    """Tell a person what went wrong and what to do; answers the exit code."""
    err.print(f"Error: {error}", style="bold red" if err.is_terminal else None, markup=False)
    if error.advice():
        err.print(error.advice(), markup=False)
    return 2 if isinstance(error, ConfigurationError) else 1


def utc(moment: datetime | None) -> datetime | None:
    """A moment that names no zone is UTC."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def duration(text: str) -> float:
    """Seconds of `90`, `15m`, `2h` or `7d`.

    Raises:
        UsageError: it is no duration.
    """
    try:
        seconds = TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        seconds = 0.0
    if seconds <= 0:
        raise UsageError(problem=f"{text[:100]!r} is no duration", advice="Write it as 90, 15m, 2h or 7d.")
    return float(seconds)


def who() -> str:
    """Who gives a command, for the record."""
    return os.environ.get("SUDO_USER") or os.environ.get("USER") or "unknown"


def acting(reason: str | None = None) -> Act:
    """What whoever gives this command does, for the audit log."""
    return Act(who(), Way.COMMAND, reason)
