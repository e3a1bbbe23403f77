"""How a data set is called in OpenLineage: by where its data lies, so that every tool calls it the same.

The rules are those of https://openlineage.io/docs/spec/naming, by the type of the connection; settings add to them and
replace them. What lies nowhere that has a rule is called by its place in the catalog: namespace `catalog://project/ID`,
name the asset's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from string import Formatter

from service.changes import Container
from service.errors import SettingInvalid
from service.mirror.lineage.datasets import Located
from service.openlineage.spelling import DatasetName, bare, meant, parts_of

#: Scheme of the namespaces of assets that are called by their place in the catalog.
SCHEME = "catalog://"
#: What a rule may use of a connection and the path in it.
FIELDS = frozenset({"host", "account", "port", "database", "bucket", "path", "key", "table"})


@dataclass(frozen=True, slots=True)
class Rule:
    """Templates of namespace and name, and the port where a connection names none."""

    namespace: str
    name: str
    port: str | None = None


_SQL = "{database}.{table}"
_OBJECTS = Rule("s3://{bucket}", "{key}")
#: By the catalog's name for the type of a connection, in lower case, which the mirror knows once it has read the types
#: of data sources; by its id for those whose ids IBM's examples show.
RULES: dict[str, Rule] = {
    "postgresql": Rule("postgres://{host}:{port}", _SQL, "5432"),
    "db2": Rule("db2://{host}:{port}", _SQL, "50000"),
    "dashdb": Rule("db2://{host}:{port}", _SQL, "50000"),
    "cfdcb449-1204-44ba-baa6-9a8a878e6aa7": Rule("db2://{host}:{port}", _SQL, "50000"),
    "mysql": Rule("mysql://{host}:{port}", "{table}", "3306"),
    "mariadb": Rule("mysql://{host}:{port}", "{table}", "3306"),
    "oracle": Rule("oracle://{host}:{port}", _SQL, "1521"),
    "sqlserver": Rule("mssql://{host}:{port}", _SQL, "1433"),
    "redshift": Rule("redshift://{host}:{port}", _SQL, "5439"),
    "teradata": Rule("teradata://{host}:{port}", "{table}", "1025"),
    "trino": Rule("trino://{host}:{port}", _SQL, "8080"),
    "presto": Rule("trino://{host}:{port}", _SQL, "8080"),
    "hive": Rule("hive://{host}:{port}", "{table}", "10000"),
    "cassandra": Rule("cassandra://{host}:{port}", "{table}", "9042"),
    "snowflake": Rule("snowflake://{account}", _SQL),
    "bigquery": Rule("bigquery", _SQL),
    "amazons3": _OBJECTS,
    "cloudobjectstorage": _OBJECTS,
    "193a97c1-4475-4a19-b90c-295c4fdc6517": _OBJECTS,
    "googlecloudstorage": Rule("gs://{bucket}", "{key}"),
    "hdfs": Rule("hdfs://{host}:{port}", "/{path}", "8020"),
    "kafka": Rule("kafka://{host}:{port}", "{path}", "9092"),
}


class Naming:
    """The rules in force.

    Args:
        rules: by type of connection (its name or its id in the catalog): another type's name, or templates of
            `namespace` and `name` (and `port`) with the fields of `FIELDS`.

    Raises:
        SettingInvalid: a rule is neither.
    """

    def __init__(self, rules: Mapping[str, object] | None = None, setting: str = "") -> None:
        self._rules = dict(RULES)
        for kind, told in (rules or {}).items():
            self._rules[kind.lower()] = _rule(kind, told, setting)

    def of(self, asset: Located) -> DatasetName:
        """What the asset's data is called."""
        return self.by_data(asset) or by_place(asset.asset_id, asset.container)

    def by_data(self, asset: Located) -> DatasetName | None:
        """The name by where the data lies; None where no rule fits."""
        rule = next((self._rules[kind] for kind in asset.types if kind in self._rules), None)
        if rule is None or not asset.path:
            return None
        fields = fields_of(asset, rule.port)
        if any(not fields[name] for name in names_in(rule.namespace, rule.name)):
            return None
        return meant(DatasetName(rule.namespace.format(**fields), rule.name.format(**fields)))

    def spellings(self, asset: Located) -> set[DatasetName]:
        """All names that mean the asset's data: it may lie on several servers."""
        servers = (asset.host or "").split(",")
        told = (self.by_data(asset if len(servers) == 1 else replace(asset, host=server)) for server in servers)
        return {name for name in told if name is not None}


def by_place(asset_id: str, container: Container | None) -> DatasetName:
    """The name by place in the catalog."""
    return DatasetName(f"{SCHEME}{container.kind}/{container.id}" if container else SCHEME, asset_id)


def place_of(dataset: DatasetName) -> tuple[str, Container | None] | None:
    """The asset and container that a name by place means; None for other names."""
    if not dataset.namespace.startswith(SCHEME) or not dataset.name:
        return None
    kind, _, container_id = dataset.namespace.removeprefix(SCHEME).partition("/")
    for known in ("catalog", "project", "space"):
        if kind == known and container_id:
            return dataset.name, Container(known, container_id)
    return dataset.name, None


def paths_of(dataset: DatasetName) -> list[str]:
    """The paths within a connection that may have led to this name; each is to be tried."""
    authority = dataset.namespace.rpartition("://")[2]
    words = meant(dataset).name.split(".") if '"' in dataset.name else dataset.name.split(".")
    joined = ["/".join(words[start:]) for start in range(len(words))]
    if dataset.namespace.lower().startswith("snowflake:"):
        stored = [*map(bare, parts_of(meant(dataset).name))]
        for cased in (stored, [word.lower() for word in stored]):
            joined += ["/".join(cased[start:]) for start in range(len(cased))]
    joined += [dataset.name.lstrip("/"), f"{authority}/{dataset.name}"]
    return list(dict.fromkeys(path for one in joined if one for path in (f"/{one}", one)))


def fields_of(asset: Located, default_port: str | None = None) -> dict[str, str]:
    """What templates may use of where an asset lies; empty where it is not known."""
    words = [word for word in (asset.path or "").split("/") if word]
    bucket = asset.bucket or (words[0] if len(words) > 1 else "")
    key = words[1:] if words[:1] == [bucket] else words
    # Of a list of servers, as Kafka's connections have one, the first by name; a server may have its own port.
    told = min(server.strip() for server in (asset.host or "").split(","))
    host, _, port = (told, "", "") if told.startswith("[") else told.partition(":")
    return {
        "host": host,
        "account": host.removesuffix(".snowflakecomputing.com"),
        "port": port or asset.port or default_port or "",
        "database": asset.database or "",
        "bucket": bucket,
        "path": "/".join(words),
        "key": "/".join(key),
        "table": ".".join(words[1:] if len(words) > 2 and words[0] == asset.database else words),
    }


def names_in(*templates: str) -> set[str]:
    """The fields that templates use; raises `ValueError` for a brace that nothing closes."""
    return {name for template in templates for _, name, _, _ in Formatter().parse(template) if name is not None}


def _rule(kind: str, told: object, setting: str) -> Rule:
    if isinstance(told, str) and told.lower() in RULES:
        return RULES[told.lower()]
    if isinstance(told, dict) and {"namespace", "name"} <= told.keys() <= {"namespace", "name", "port"}:
        port = told.get("port")
        rule = Rule(str(told["namespace"]), str(told["name"]), None if port is None else str(port))
        if _is_usable(rule):
            return rule
    problem = f"the rule of {kind!r} is neither one of {', '.join(RULES)} nor templates of namespace and name"
    raise SettingInvalid(setting=setting, problem=problem)


def _is_usable(rule: Rule) -> bool:
    try:
        return names_in(rule.namespace, rule.name) <= FIELDS
    except ValueError:  # a brace that nothing closes
        return False
