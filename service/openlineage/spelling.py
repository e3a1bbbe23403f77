"""Which spellings of a data set's name mean the same data set, so that producers who spell it differently meet.

A name is compared in one spelling: scheme and host in small letters, one scheme where several lead to the same data,
the port always told, and for Snowflake its own rules. Everything else is taken as it is told: what a data source tells
apart by case stays apart.
"""

from __future__ import annotations

import re
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple


class DatasetName(NamedTuple):
    """What names a data set in OpenLineage."""

    namespace: str
    name: str


#: Schemes by which clients reach what OpenLineage calls otherwise: drivers of Hadoop, and of SQLAlchemy.
_SCHEMES = {
    "postgresql": "postgres", "sqlserver": "mssql", "s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "abfss",
    "wasb": "wasbs",
}  # fmt: skip
#: Schemes whose authority is a host, by the port that counts where none is told (those of OpenLineage's naming rules).
PORTS = {
    "postgres": "5432", "db2": "50000", "mysql": "3306", "oracle": "1521", "mssql": "1433", "redshift": "5439",
    "teradata": "1025", "trino": "8080", "hive": "10000", "cassandra": "9042", "hdfs": "8020", "kafka": "9092",
}  # fmt: skip
#: Schemes of data whose columns are fields of records.
_EXACT = frozenset({
    "kafka", "s3", "s3a", "s3n", "gs", "gcs", "hdfs", "file", "abfs", "abfss", "wasb", "wasbs", "dbfs", "pubsub",
    "mongodb", "mongodb+srv", "cosmosdb", "azurecosmos",
})  # fmt: skip
_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)
_SERVER = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]+))?")
_ID = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*://[^/]*)/(.+)", re.DOTALL)
_PLAIN_ID = re.compile(r"([^/:]+)/(.+)", re.DOTALL)
#: A part of a name: between quotes, where two stand for one, or up to the next dot.
_PART = re.compile(r'"((?:[^"]|"")*)"|([^.]+)')
_ODD = re.compile(r'["\.]')
_SNOWFLAKE_HOST = re.compile(r"(?:\.privatelink)?(?:\.snowflakecomputing\.(?:com|cn))?$")


def meant(dataset: DatasetName) -> DatasetName:
    """The spelling in which names are compared."""
    url = _URL.fullmatch(dataset.namespace)
    if url is None:
        return DatasetName(dataset.namespace, _unquoted(dataset))
    scheme = url[1].lower()
    scheme, authority = _SCHEMES.get(scheme, scheme), url[2]
    if scheme == "snowflake":
        return DatasetName(f"{scheme}://{_account(authority)}", ".".join(map(_stored, parts_of(dataset.name))))
    if scheme in PORTS:
        authority = servers_of(authority, PORTS[scheme])[0]
    return DatasetName(f"{scheme}://{authority}", _unquoted(dataset))


def spellings(dataset: DatasetName) -> set[DatasetName]:
    """All that this name may meet: of a list of servers, each of them is one."""
    url = _URL.fullmatch(dataset.namespace)
    if url is None or "," not in url[2]:
        return {meant(dataset)}
    return {meant(DatasetName(f"{url[1]}://{server}", dataset.name)) for server in url[2].split(",") if server}


def meant_id(asset_id: str) -> DatasetName | None:
    """The data set that an id such as `s3a://lake/orders` or `shop/orders` means; None for ids of other forms."""
    found = _ID.fullmatch(asset_id) or _PLAIN_ID.fullmatch(asset_id)
    return DatasetName(found[1], found[2]) if found else None


def column_key(dataset: DatasetName, column: str) -> str:
    """What a column's name is compared by: databases tell names apart without regard to case unless they are quoted.

    Producers do not say whether they were. Files, streams and document stores take names as they are written. Only the
    letters of ASCII have a case here, as in SQLite.
    """
    return column if is_exact(dataset) else column.translate(_SMALL)


def is_exact(dataset: DatasetName) -> bool:
    """Whether names are taken as they are written: of files, streams and document stores, not of databases."""
    return dataset.namespace.partition("://")[0].lower() in _EXACT


def parts_of(name: str) -> list[str]:
    """The parts of a name with dots between them, as they are told: with their quotes."""
    return [part[0] for part in _PART.finditer(name)]


def bare(part: str) -> str:
    """A part without its quotes."""
    return part[1:-1].replace('""', '"') if len(part) > 1 and part[0] == part[-1] == '"' else part


def servers_of(authority: str, port: str) -> list[str]:
    """The servers of an authority, in their order by name, each with its port."""
    return sorted(_server(one.strip(), port) for one in authority.split(","))


def _server(told: str, port: str) -> str:
    found = _SERVER.fullmatch(told)
    return f"{found[1].lower()}:{found[2] or port}" if found and found[1] else told


def _unquoted(dataset: DatasetName) -> str:
    """The name without quotes around its parts, where it means the same without: SQLMesh quotes what it reads."""
    parts = parts_of(dataset.name)
    if '"' not in dataset.name or is_exact(dataset) or ".".join(parts) != dataset.name:
        return dataset.name
    return ".".join(part if _ODD.search(bare(part)) or not bare(part) else bare(part) for part in parts)


def _stored(part: str) -> str:
    """An identifier as Snowflake stores it: in capitals unless it is quoted (its documentation, "Identifiers").

    It keeps its quotes where it would be another one without them.
    """
    stored = bare(part)
    if stored == part:
        return part.upper()
    return part if not stored or stored != stored.upper() or _ODD.search(stored) else stored


def _account(told: str) -> str:
    """An account as OpenLineage's rules have it: an organisation's by its name, a locator with region and cloud.

    Region and cloud that are not told are those that Snowflake takes then (openlineage-python, `fix_account_name`).
    """
    account, *place = _SNOWFLAKE_HOST.sub("", told.lower()).split(".")
    if "-" in account:
        return account.replace("_", "-")
    region, cloud = [*place, *("us-west-1", "aws")[len(place) :]][:2]
    return f"{account}.{region}.{cloud}"
