"""Log lines with stable event names: structlog, and the standard library's the same way."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from service.settings.model import LogSettings
from service.text.visible import visible, visible_fields


class _Console:
    """Lines for people, in which nothing from outside is obeyed by a terminal.

    Tracebacks are plain: the richer ones show local variables, which hold bodies before redaction.
    """

    def __init__(self) -> None:
        self._render = structlog.dev.ConsoleRenderer(exception_formatter=_traceback)

    def __call__(self, logger: Any, name: str, fields: MutableMapping[str, Any]) -> str:
        return self._render(logger, name, visible_fields(dict(fields)))


def _traceback(target: TextIO, exc_info: Any) -> None:
    written = io.StringIO()
    structlog.dev.plain_traceback(written, exc_info)
    target.write(visible(written.getvalue()))


def configure_logging(settings: LogSettings) -> None:
    """Set up structlog, and send the standard library's log lines the same way, to stderr."""
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = _Console() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer] if not console else [*shared, renderer],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    final: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if not console:
        final.append(structlog.processors.format_exc_info)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*final, renderer]))
    logging.basicConfig(handlers=[handler], force=True)
    show_from(settings.level)


def show_from(level: str) -> None:
    """Show lines from this level on (`debug`, `info`, …), in this process and from now on."""
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(least))
    logging.getLogger().setLevel(max(least, logging.WARNING))
    for name in ("aiormq", "aio_pika", "alembic"):  # their retries are ours to report
        logging.getLogger(name).setLevel(logging.CRITICAL if least > logging.DEBUG else logging.DEBUG)
