"""Links in files, CSV or YAML: read with every fault told by its line, and written so that they can be read again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from service.errors import DataError
from service.events.fields import is_usable_id
from service.targets.pentaho.links import KINDS, Link

Form = Literal["csv", "yaml"]
COLUMNS = ("kind", "catalog_id", "pentaho_id", "fqdn_id", "scope")
#: Faults that are told; of more, how many there are.
_SHOWN = 20


class LinksInvalid(DataError):
    """The links cannot be used: {problem}."""

    error_class = "links"
    remedy = (
        "Mend these; nothing was imported. The columns are kind, catalog_id, pentaho_id, fqdn_id and scope; "
        "docs/pentaho.md tells what they hold."
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """One link as it stands in the file."""

    number: int
    values: dict[str, Any]


def read(text: str, form: Form) -> list[Link]:
    """All links of a file; no key twice.

    Raises:
        LinksInvalid: with every line that cannot be used, by number. No link of the file counts then.
    """
    return _all(_yaml_lines(text) if form == "yaml" else _csv_lines(text), "line")


def of_members(members: Iterable[dict[str, Any]]) -> list[Link]:
    """The same of members of a list, each with the columns as names. Raises as `read`."""
    return _all((_Line(number, values) for number, values in enumerate(members, 1)), "member")


def _all(lines: Iterable[_Line], word: str) -> list[Link]:
    faults: list[str] = []
    found: dict[tuple[str, str, str], int] = {}
    links: list[Link] = []
    for line in lines:
        try:
            link = _link(line.values)
            if link.key in found:
                raise ValueError(f"it says the same as {word} {found[link.key]}")
        except ValueError as fault:
            faults.append(f"{word} {line.number}: {fault}")
            continue
        found[link.key] = line.number
        links.append(link)
    if faults:
        more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise LinksInvalid(problem="; ".join(faults[:_SHOWN] + more))
    return links


def write(links: Iterable[Link], form: Form) -> str:
    """The file that `read` makes these links of."""
    rows = [{name: value for name, value in zip(COLUMNS, _cells(link), strict=True) if value} for link in links]
    if form == "yaml":
        return yaml.safe_dump(rows, sort_keys=False, allow_unicode=True, width=1000) if rows else "[]\n"
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _cells(link: Link) -> tuple[str, ...]:
    return link.kind, link.catalog_id, link.pentaho_id, link.fqdn_id or "", " ".join(link.scope)


def _link(values: dict[str, Any]) -> Link:
    unknown = sorted(set(values) - set(COLUMNS))
    if unknown:
        raise ValueError(f"there is no column {unknown[0]!r}")
    kind, catalog_id, pentaho_id = (_text(values, name) for name in COLUMNS[:3])
    if kind not in KINDS:
        raise ValueError(f"the kind is one of {', '.join(KINDS)}, not {kind!r}")
    for name, value in (("catalog_id", catalog_id), ("pentaho_id", pentaho_id)):
        if not _is_id(value):
            raise ValueError(f"{name} is {'missing' if not value else 'no id: it cannot be stored, or printed'}")
    fqdn_id, scope = _text(values, "fqdn_id"), _scope(values.get("scope"))
    if (kind == "connection") != bool(fqdn_id):
        raise ValueError("a connection, and nothing else, has the fqdn_id of its data source")
    if scope and kind != "rule":
        raise ValueError("a rule, and nothing else, has a scope")
    if not all(_is_id(some) for some in (fqdn_id, *scope) if some):
        raise ValueError("there is an id that cannot be stored, or printed")
    return Link(kind, catalog_id, pentaho_id, fqdn_id or None, scope)


def _is_id(value: str) -> bool:
    """Whether it can be an id: an odd space that came with a spreadsheet would never be found again."""
    return is_usable_id(value) and value.isprintable()


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name) or ""
    if not isinstance(value, str):
        raise ValueError(f"{name} is not one text")
    return value.strip()


def _scope(value: Any) -> tuple[str, ...]:
    """Ids with spaces between them, or a list of ids; each once, in the order of their text."""
    words: Sequence[Any] = value if isinstance(value, list) else (value or "").split() if isinstance(value, str) else ()
    if not all(isinstance(word, str) and len(word.split()) == 1 for word in words):
        raise ValueError("scope is a list of ids")
    return tuple(sorted({word.strip() for word in words}))


def _csv_lines(text: str) -> Iterator[_Line]:
    """Lines after the head; with semicolons where the head has them, as some spreadsheets write."""
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    try:
        names = [name.strip() for name in next(reader, [])]
        if missing := [name for name in COLUMNS[:3] if name not in names]:
            raise LinksInvalid(problem=f"line 1: there is no column {missing[0]!r}")
        begins = reader.line_num + 1
        for row in reader:
            if any(cell.strip() for cell in row):
                yield _Line(begins, _named(names, row))
            begins = reader.line_num + 1
    except csv.Error as fault:
        raise LinksInvalid(problem=f"line {reader.line_num}: {fault}") from None


def _named(names: list[str], row: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = dict(zip(names, row, strict=False))
    return values | ({f"number {len(names) + 1}": row[len(names)]} if len(row) > len(names) else {})


def _yaml_lines(text: str) -> Iterator[_Line]:
    """Members of the list; every scalar as the text that stands there, so that no id becomes a number."""
    try:
        root = yaml.compose(text, yaml.BaseLoader)
        if root is None:
            return
        if not isinstance(root, yaml.SequenceNode):
            raise LinksInvalid(problem="line 1: the file is a list of links, each of which begins with `- kind: …`")
        for node in root.value:
            yield _Line(node.start_mark.line + 1, _mapping(node))
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else "?"
        raise LinksInvalid(problem=f"line {line}: {fault.problem}") from None
    except (yaml.YAMLError, RecursionError) as fault:
        raise LinksInvalid(problem=f"it is no YAML ({type(fault).__name__})") from None


def _mapping(node: yaml.Node) -> dict[str, Any]:
    """One member; what is no map of columns has none that we know."""
    if not isinstance(node, yaml.MappingNode):
        return {"(no map of columns)": ""}
    return {_plain(name): _plain(value) for name, value in node.value}


def _plain(node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_plain(member) for member in node.value]
    return node.value if isinstance(node, yaml.ScalarNode) else "(a map)"
