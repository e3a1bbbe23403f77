"""Which changes a target is told: by kind, container, type of asset, what happened, fields, and an expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from service.targets.changes.event import ChangeData, ChangeEvent
from service.targets.changes.options import ChangeOptions

if TYPE_CHECKING:
    from service.targets.changes.expression import Expression

log = structlog.get_logger(__name__)


class Filter:
    """What options of a target let through; all of them have to.

    Raises:
        ExpressionInvalid: the expression does not compile.
    """

    def __init__(self, target: str, options: ChangeOptions) -> None:
        self._target = target
        self._containers = frozenset(options.containers)
        self._asset_types = frozenset(options.asset_types)
        self._whats = frozenset(options.changes)
        self._fields = frozenset(options.fields)
        self._expression: Expression | None = None
        if options.where is not None:
            from service.targets.changes.expression import Expression  # the extra `events`

            self._expression = Expression(options.where)
        self._has_told = False
        self._is_open = options.where is None and not (
            self._containers or self._asset_types or self._whats or self._fields
        )

    def admits(self, event: ChangeEvent) -> bool:
        """Whether the target is told this change."""
        return self._is_open or (
            self._is_chosen(event.data) and (self._expression is None or self._matches(event, self._expression))
        )

    def _is_chosen(self, data: ChangeData) -> bool:
        return (
            (not self._whats or data.what in self._whats or data.what == "state")
            and (not self._containers or (data.container is not None and data.container.id in self._containers))
            and (not self._asset_types or data.kind != "asset" or data.asset_type in self._asset_types)
            and (not self._fields or not self._fields.isdisjoint(data.fields))
        )

    def _matches(self, event: ChangeEvent, expression: Expression) -> bool:
        """What the expression takes too long for is told: too much is better than too little."""
        from service.targets.changes.expression import TooLong

        try:
            return expression.admits(msgspec.json.decode(event.text()))
        except TooLong:
            if not self._has_told:
                remedy = "Such changes are told as if they matched: make the expression shorter."
                log.warning("expression_runs_long", target=self._target, subject=event.subject, remedy=remedy)
            self._has_told = True
            return True
