"""What of the catalog is mirrored: by container, and by the type of asset. The same for events, reading and targets."""

from __future__ import annotations

from fnmatch import fnmatchcase

from service.changes import AssetSaved, Change, Container, ContainerDeleted, ContainerSaved, LineageRecorded
from service.errors import SettingInvalid
from service.settings.model import ScopeSettings

#: What stands before the colon of a rule.
_TYPE = "type"
_KINDS = ("catalog", "project", "space", _TYPE, "*")


class Scope:
    """Decides what is in scope.

    A rule is `kind:id` for containers (`catalog:1f2e…`, `project:*`) or `type:name` for types of assets; `*` stands for
    any text. With includes of containers, only those are in scope; the same for types. An exclude wins.

    Raises:
        SettingInvalid: a rule cannot be read.
    """

    def __init__(self, settings: ScopeSettings) -> None:
        self._include = [_rule("INCLUDE", text) for text in settings.include]
        self._exclude = [_rule("EXCLUDE", text) for text in settings.exclude]
        self.is_everything = not self._include and not self._exclude

    def admits_container(self, container: Container | None) -> bool:
        """Whether what lives in this container is mirrored; what lives nowhere known is."""
        if container is None or self.is_everything:
            return True
        if any(_holds(rule, container) for rule in self._exclude):
            return False
        wanted = [rule for rule in self._include if rule[0] != _TYPE]
        return not wanted or any(_holds(rule, container) for rule in wanted)

    def admits_type(self, asset_type: str | None) -> bool:
        """Whether assets of this type are mirrored; one of no known type is."""
        if asset_type is None or self.is_everything:
            return True
        if any(kind == _TYPE and fnmatchcase(asset_type, name) for kind, name in self._exclude):
            return False
        wanted = [name for kind, name in self._include if kind == _TYPE]
        return not wanted or any(fnmatchcase(asset_type, name) for name in wanted)

    def admits(self, change: Change) -> bool:
        """Whether a change is about something that is mirrored; lineage always is, it has no container."""
        if self.is_everything or isinstance(change, LineageRecorded | ContainerSaved | ContainerDeleted):
            return True
        if not self.admits_container(change.container if hasattr(change, "container") else None):
            return False
        return not isinstance(change, AssetSaved) or self.admits_type(change.asset_type)


def _rule(setting: str, text: str) -> tuple[str, str]:
    kind, separator, name = text.partition(":")
    if not separator or not name or kind not in _KINDS:
        problem = f"{text!r} is no rule; write catalog:ID, project:ID, space:ID or type:NAME, with * for any text"
        raise SettingInvalid(setting=f"CATALOG_MIRROR_SCOPE__{setting}", problem=problem)
    return kind, name


def _holds(rule: tuple[str, str], container: Container) -> bool:
    kind, name = rule
    return kind in (container.kind, "*") and fnmatchcase(container.id, name)
