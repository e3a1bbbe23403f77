"""What a page tells, item by item; without secrets before anything of it may be written."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

import structlog

from service.catalog.paging import Page
from service.changes import Container
from service.errors import DataError, NestingTooDeep
from service.kinds import Kind
from service.settings.scope import Scope
from service.sync.cleaning import clean
from service.sync.readings import Told, told_of
from service.text.privacy import Privacy
from service.text.profile_values import without_profile_values
from service.text.redaction import may_hold_secrets

log = structlog.get_logger(__name__)

#: Items that are looked at before others have their turn: about two milliseconds.
SLICE = 16


@dataclass(slots=True)
class Group:
    """What one item tells: of itself first, then of what it carries."""

    told: list[Told]
    item: dict[str, Any]
    at_us: int | None
    parent: str | None


@dataclass(slots=True)
class Unreadable:
    """An item that cannot be used, and why."""

    error: DataError
    item: dict[str, Any]


class ItemReader:
    """Reads the items of pages."""

    def __init__(self, scope: Scope, privacy: Privacy) -> None:
        self._scope = scope
        self._privacy = privacy

    async def groups(
        self, kind: Kind, where: Container | None, page: Page, parent: str | None
    ) -> list[Group | Unreadable]:
        """What each item in scope tells, secrets and all but values of tables; or why it cannot be read."""
        groups: list[Group | Unreadable] = []
        for number, item in enumerate(page.items):
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            try:
                hides = self._privacy.hides_people
                told = self._told(kind, where, item, page.at_us, parent, cleans=hides)
            except DataError as error:
                log.warning("item_unreadable", kind=kind.name, container=where and where.id, problem=str(error))
                groups.append(Unreadable(error, item))
                continue
            if told and (self._scope.is_everything or self._scope.admits(told[0].change())):
                groups.append(Group(told, item, page.at_us, parent))
        return groups

    def cleaned(self, kind: Kind, where: Container | None, group: Group) -> list[Told]:
        """What a group tells as it may be written; the same where it holds no secrets.

        Raises:
            DataError: it cannot be read without its secrets.
        """
        if self._privacy.hides_people or not may_hold_secrets(group.told[0].text.encode()):
            return group.told
        return self._told(kind, where, group.item, group.at_us, group.parent, cleans=True)

    def _told(
        self, kind: Kind, where: Container | None, item: dict[str, Any], at_us: int | None, parent: str | None,
        *, cleans: bool,
    ) -> list[Told]:  # fmt: skip
        try:
            values = self._privacy.profile_values
            item = clean(item, self._privacy) if cleans else without_profile_values(item, values)
            return list(told_of(kind, item, where, at_us, parent))
        except RecursionError:
            raise NestingTooDeep(limit=sys.getrecursionlimit()) from None
