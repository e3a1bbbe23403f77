"""What Pentaho's documents say of the bodies: members, types, what is required, and how many ids there are at least."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_TEXTS = (
    "databaseName", "jobClasspath", "driverClassName", "resourceName", "resourceId", "fqdnId", "configMethod",
    "host", "lastTestConnectionId", "lastIngestId", "affinityId", "port", "uri", "databaseType", "spiVersion",
    "serviceType", "description", "status", "userName", "password", "encryptedPassword", "note", "oauthClientId",
    "oauthClientSecret", "hdfsCredType", "endpoint", "accessKey", "container", "accessId", "secretKey",
    "secretManagerKey", "project", "keyPath", "clientEmail", "warehouse", "region", "accountNumber",
    "iamUsername", "accessKeyID", "secretAccessKey", "assumeRole", "role", "externalID", "sslType",
    "trustStoreType", "trustStoreLocation", "trustStorePassword", "keyStoreType", "keyStoreLocation",
    "keyStorePassword", "cipherSuite", "serverDistinguishedName", "connectionType", "fileSystemType", "path",
    "followSymLinks", "domain", "shareName", "accountName", "azureCredType", "azureSharedKey", "azureTenantId",
)  # fmt: skip
#: The seventy optional fields of a connection, with their types.
CONNECTION: dict[str, str] = {
    **dict.fromkeys(_TEXTS, "text"),
    **dict.fromkeys(("totalCapacity", "oAuthType"), "number"),
    **dict.fromkeys(
        ("availableForMigration", "enabledForMigration", "availableForWriting", "availableForDataMastering"), "truth"
    ),
    "owners": "objects",
    "users": "texts",
}
_INGEST = CONNECTION | dict.fromkeys(("schemaNames", "includePatterns", "excludePatterns"), "texts")
_SCOPE = {"scope": "uuids!", "configs": "object"}

#: Members by path: a type, with `!` where the member is required.
BODIES: dict[str, dict[str, str]] = {
    "test-connection": CONNECTION,
    "remove-datasource": {"id": "text!", "fqdnId": "text!"},
    "metadata/ingest": _INGEST,
    "metadata/re-ingest": {"scope": "uuids!"},
    "data-profiling": _SCOPE,
    "data-discovery": _SCOPE,
    "data-identification": {"scope": "uuids!", "dictionaryIds": "texts", "dataPatternIds": "texts"},
    "collections/data-profiling": {"collectionId": "uuid!"},
    "collections/data-aggregation": {"collectionId": "uuid!"},
    "business-rule": {"ruleId": "ids!"},
    "business-rule/with-row-counter": {"ruleId": "ids!", "scope": "uuids!"},
    "usage-statistics": _SCOPE,
    "pii-detection": _SCOPE,
}


def problems(path: str, body: Any) -> list[str]:
    """What is wrong with a body; members that the documents do not name among it."""
    if not isinstance(body, dict):
        return ["the body must be an object"]
    members = BODIES[path]
    found = [f"property {name} should not exist" for name in body if name not in members]
    for name, type_ in members.items():
        if name not in body:
            found += [f"{name} should not be empty"] if type_.endswith("!") else []
        elif not _fits(body, name, type_.rstrip("!")):
            found.append(f"{name} must be {type_.rstrip('!')}")
    return found


def _fits(body: Mapping[str, Any], name: str, type_: str) -> bool:
    value = body[name]
    if value is None and type_ == "text":  # the documents' own example sends null there
        return True
    match type_:
        case "text":
            return isinstance(value, str)
        case "uuid":
            return isinstance(value, str) and bool(_UUID.fullmatch(value))
        case "uuids" | "ids" | "texts":
            wanted = "uuid" if type_ == "uuids" else "text"
            enough = isinstance(value, list) and (bool(value) or type_ == "texts")
            return enough and all(_fits({name: one}, name, wanted) and one is not None for one in value)
        case "object":
            return isinstance(value, dict)
        case "objects":
            return isinstance(value, list) and all(isinstance(one, dict) for one in value)
        case "truth":
            return isinstance(value, bool)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)
