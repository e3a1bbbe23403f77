"""What locates an asset in Collibra: templates by connection or its type, filled with where the asset's data lies.

Collibra documents neither the types nor the order of the keys, so settings give both (docs/contract.md, "Collibra").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.mirror.lineage.datasets import Located
from service.openlineage.naming import fields_of, names_in
from service.targets.collibra.options import SEGMENTS, LocatorRule


class Locators:
    """The rules in force.

    Args:
        rules: by the id of a connection, which counts first, or by the type of connections (name or id).
    """

    def __init__(self, rules: Mapping[str, LocatorRule]) -> None:
        self._rules = {name.lower(): rule for name, rule in rules.items()}

    def of(self, asset: Located) -> dict[str, Any] | str:
        """The asset's `assetLocator`; else why it has none."""
        if asset.connection_id is None:
            return "it has no connection"
        if not asset.path:
            return "nothing says where in its connection it lies"
        told = (asset.connection_id.lower(), *asset.types)
        rule = next((self._rules[name] for name in told if name in self._rules), None)
        if rule is None:
            kind = asset.type_name or asset.datasource_type or "unknown"
            return f"no locator is set for connections of type {kind!r}"
        return _filled(rule, asset)


def _filled(rule: LocatorRule, asset: Located) -> dict[str, Any] | str:
    words = [word for word in (asset.path or "").split("/") if word]
    fields = {**fields_of(asset), "name": words[-1] if words else "", "schema": words[-2] if len(words) > 1 else ""}
    texts = [text for text in (rule.type, rule.product, *rule.keys) if text is not None]
    needed = names_in(*(text for text in texts if text != SEGMENTS))
    if missing := sorted(name for name in needed if not fields[name]):
        return f"its connection and path do not say: {', '.join(missing)}"
    keys = [key for text in rule.keys for key in (words if text == SEGMENTS else [text.format(**fields)])]
    if not keys:
        return "its path has no words"
    product = {} if rule.product is None else {"product": rule.product.format(**fields)}
    return {"type": rule.type.format(**fields), **product, "keys": keys}
