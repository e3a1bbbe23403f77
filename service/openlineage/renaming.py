"""Names of data sets made into others by rules of settings, where producers call one data set by rules of their own.

A rule has a pattern of namespace and name, and what they become. In a pattern `*` stands for any text, also none, and
`{word}` for some text, as little as fits, which `to_namespace` and `to_name` may use; the rest is meant literally. So
a name is looked through once for each rule, however long it is. The first rule that fits is applied, once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from service.errors import SettingInvalid
from service.openlineage.spelling import DatasetName, meant, meant_id
from service.openlineage.words import asset_id_of

#: Where rules are set.
SETTING = "CATALOG_MIRROR_LINEAGE__NAMES"
#: Rules, characters of a pattern or of what it becomes, and parts of a pattern that stand for some text.
MAX_RULES, MAX_LENGTH, MAX_OPEN = 100, 1024, 10
_TOKEN = re.compile(r"\*|\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MEMBERS = frozenset({"namespace", "name", "to_namespace", "to_name"})


class Open(NamedTuple):
    """A part of a pattern that stands for some text; without a name for any, also none."""

    name: str | None


Pattern = tuple[str | Open, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `text` is how settings say it."""

    namespace: Pattern
    name: Pattern
    to_namespace: str
    to_name: str
    text: Mapping[str, Any]
    #: What templates may use beside what patterns found.
    values: Mapping[str, str] = field(default_factory=dict)

    def of(self, dataset: DatasetName) -> DatasetName | None:
        """What this name becomes; None where the rule does not fit."""
        found = dict(self.values)
        if not _fits(self.namespace, dataset.namespace, found) or not _fits(self.name, dataset.name, found):
            return None
        return DatasetName(_filled(self.to_namespace, found), _filled(self.to_name, found))


class _Ready(NamedTuple):
    """A rule for a producer that is known: its pattern, what it becomes, and what has to be told, or may be."""

    namespace: str
    to_namespace: str
    to_name: str
    needed: tuple[str, ...]
    usual: Mapping[str, str]


def _dlt(destination: str, to_namespace: str, to_name: str, *needed: str, **usual: str) -> _Ready:
    """Dlt with dlt-openlineage (0.1.1, `datasets.py`): the class of the destination, then its fingerprint or name."""
    namespace = f"dlt.destinations.{destination}://{{at}}"
    return _Ready(namespace, to_namespace, to_name, needed, {"at": "*", **usual})


_SERVER, _TABLE = "{host}:{port}", "{database}.{dataset}.{table}"
#: By name; what they become follows https://openlineage.io/docs/spec/naming, of DuckDB openlineage-dbt.
READY: dict[str, _Ready] = {
    "dlt-bigquery": _dlt("bigquery", "bigquery", "{project}.{dataset}.{table}", "project"),
    "dlt-duckdb": _dlt("duckdb", "duckdb://{file}", _TABLE, "file", database=""),
    "dlt-mssql": _dlt("mssql", f"mssql://{_SERVER}", _TABLE, "host", "database", port="1433"),
    "dlt-postgres": _dlt("postgres", f"postgres://{_SERVER}", _TABLE, "host", "database", port="5432"),
    "dlt-redshift": _dlt("redshift", f"redshift://{_SERVER}", _TABLE, "host", "database", port="5439"),
    "dlt-snowflake": _dlt("snowflake", "snowflake://{account}", _TABLE, "account", "database"),
}
#: How dlt calls a table of any destination.
_DLT_NAME = "{dataset}.{table}"


class Renaming:
    """The rules in force, in their order.

    Raises:
        SettingInvalid: a rule cannot be used, or there are too many.
    """

    def __init__(self, rules: Sequence[Any] = ()) -> None:
        if len(rules) > MAX_RULES:
            raise SettingInvalid(setting=SETTING, problem=f"there are {len(rules)} rules, more than {MAX_RULES}")
        self.rules = [_rule(number, told) for number, told in enumerate(rules, 1)]

    def of(self, dataset: DatasetName) -> DatasetName:
        """What a data set is called here; its own name where no rule fits."""
        return self.tried(dataset)[1]

    def tried(self, dataset: DatasetName) -> tuple[Rule | None, DatasetName]:
        """The rule that fits, as the name is told or as it is compared, and what comes out."""
        if self.rules:
            spelled = dict.fromkeys((dataset, meant(dataset)))
            for rule in self.rules:
                for name in spelled:
                    if (made := rule.of(name)) is not None:
                        return rule, made
        return None, dataset

    def explained(self, namespace: str, name: str | None = None) -> dict[str, Any]:
        """What becomes of a name, for people: `number` and `rule` are those that fit, `asset_id` is what lineage has.

        Without `name` the namespace is an id, in which both are joined with a slash.
        """
        if name is None:
            found = self.of_id(namespace)
            told = found[1] if found else meant_id(namespace)
        else:
            told = DatasetName(namespace, name)
        if told is None:
            return {"told": None, "number": None, "rule": None, "called": None, "asset_id": namespace}
        rule, made = self.tried(told)
        return {
            "told": told._asdict(),
            "number": self.rules.index(rule) + 1 if rule else None,
            "rule": dict(rule.text) if rule else None,
            "called": made._asdict(),
            "asset_id": asset_id_of(made),
        }

    def of_id(self, asset_id: str) -> tuple[Rule, DatasetName, DatasetName] | None:
        """As `tried`, of an id in which namespace and name are joined with a slash; None where no rule fits."""
        parts = asset_id.split("/")
        for end in range(1, len(parts)) if self.rules else ():
            told = DatasetName("/".join(parts[:end]), "/".join(parts[end:]))
            rule, made = self.tried(told)
            if rule is not None:
                return rule, told, made
        return None


#: What settings say where they say nothing.
NO_RULES = Renaming()


def _fits(pattern: Pattern, text: str, found: dict[str, str]) -> bool:
    """Whether a text is as a pattern says; what its open parts stand for is put into `found`."""
    at, pending = 0, None
    for place, part in enumerate(pattern):
        if isinstance(part, Open):
            pending = part
            continue
        begin = at + (pending is not None and pending.name is not None)
        last = place == len(pattern) - 1
        if pending is None:
            start = 0 if text.startswith(part) and (not last or text == part) else -1
        elif last:
            start = len(text) - len(part) if text.endswith(part) else -1
        else:
            start = text.find(part, begin)
        if start < begin or not _taken(pending, text[at:start], found):
            return False
        at, pending = start + len(part), None
    return _taken(pending, text[at:], found) if pending else at == len(text)


def _taken(part: Open | None, text: str, found: dict[str, str]) -> bool:
    """Note what an open part stands for; one that was met before has to stand for the same."""
    if part is None or part.name is None:
        return True
    return bool(text) and found.setdefault(part.name, text) == text


def _filled(template: str, found: Mapping[str, str]) -> str:
    return _TOKEN.sub(lambda token: found[token[1]], template)


def _rule(number: int, told: Any) -> Rule:
    try:
        if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
            raise ValueError(f"it is no object of texts with {_listed(_MEMBERS)}")
        return _ready(told) if "rule" in told else _made(told, told)
    except ValueError as error:
        raise SettingInvalid(setting=SETTING, problem=f"rule {number}: {error}") from None


def _ready(told: dict[str, str]) -> Rule:
    ready = READY.get(told["rule"])
    if ready is None:
        raise ValueError(f"{told['rule']!r} is none of those that are ready: {_listed(READY)}")
    needed, given = {"rule", *ready.needed}, {name: value for name, value in told.items() if value}
    if not needed <= given.keys() or not told.keys() <= {*needed, *ready.usual}:
        may = _listed(ready.usual)
        raise ValueError(f"{told['rule']!r} takes {_listed(ready.needed)}, and may be told {may}")
    values = {**ready.usual, **given}
    at = values.pop("at")
    if "file" in values:
        values["database"] = values["database"] or PurePosixPath(values["file"]).stem
    namespace = ready.namespace.replace("{at}", at)
    members = {
        "namespace": namespace, "name": _DLT_NAME, "to_namespace": ready.to_namespace, "to_name": ready.to_name
    }  # fmt: skip
    return _made(members, told, values)


def _made(members: Mapping[str, str], told: Mapping[str, Any], values: Mapping[str, str] | None = None) -> Rule:
    if members.keys() != _MEMBERS:
        raise ValueError(f"it has to have {_listed(_MEMBERS)}, or `rule` with one of {_listed(READY)}")
    for name, value in members.items():
        if not value or len(value) > MAX_LENGTH:
            raise ValueError(f"{name} has to have 1 to {MAX_LENGTH} characters")
    patterns = {name: _pattern(name, members[name]) for name in ("namespace", "name")}
    known = {part.name for one in patterns.values() for part in one if isinstance(part, Open)} | set(values or ())
    for name in ("to_namespace", "to_name"):
        used = {part.name for part in _parts(name, members[name]) if isinstance(part, Open)}
        if None in used:
            raise ValueError(f"{name} has a `*`, which stands for no text that is known: use a {{word}} of the pattern")
        if unknown := used - known:
            raise ValueError(f"{name} uses {_listed(map(str, unknown))}, which the patterns do not have")
    to = members["to_namespace"], members["to_name"]
    return Rule(patterns["namespace"], patterns["name"], *to, told, values or {})


def _pattern(member: str, text: str) -> Pattern:
    parts = _parts(member, text)
    opened = [isinstance(part, Open) for part in parts]
    if any(one and other for one, other in pairwise(opened)):
        raise ValueError(f"{member} has two parts beside each other that stand for any text: put a text between them")
    if sum(opened) > MAX_OPEN:
        raise ValueError(f"{member} has more than {MAX_OPEN} parts that stand for any text")
    return parts


def _parts(member: str, text: str) -> Pattern:
    """A pattern or template in its parts; raises `ValueError` for a brace that means nothing."""
    parts: list[str | Open] = []
    at = 0
    for token in _TOKEN.finditer(text):
        parts += [text[at : token.start()], Open(token[1])]
        at = token.end()
    parts.append(text[at:])
    if any(isinstance(part, str) and ("{" in part or "}" in part) for part in parts):
        raise ValueError(f"{member} has a brace that belongs to no {{word}}")
    return tuple(part for part in parts if part)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
