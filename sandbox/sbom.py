"""What the wheel needs and carries, as CycloneDX 1.6: `python -m sandbox.sbom DIST` writes it beside each wheel there.

Needed are the locked requirements of the image; carried are the console's browser parts. Each has its licence and the
hashes by which it is locked. The same wheel has the same SBOM: its time is that of SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import runpy
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from pip_requirements_parser import RequirementsFile

ROOT = Path(__file__).parents[1]
#: What is needed always, and what with all extras.
_LOCK, _LOCK_OF_ALL = ROOT / "requirements.txt", ROOT / "requirements-image.txt"
_CONSOLE = ROOT / "service" / "http" / "console"
#: Tells names of SPDX, and expressions of it, from a package's own words.
_LICENCES = LicenseFactory()
#: Where an index says of a file what its hash is.
_INDEX = "https://pypi.org/project/{name}/{version}/"


def sbom(wheel: Path, at: datetime) -> str:
    """The SBOM of a wheel, as JSON.

    Args:
        at: the moment that stands in it.
    """
    name, version, *_ = wheel.name.split("-")
    name = name.replace("_", "-")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    itself = Component(
        name=name, version=version, type=ComponentType.APPLICATION, bom_ref=name,
        purl=PackageURL("pypi", None, name, version), licenses=[_LICENCES.make_from_string("Apache-2.0")],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )  # fmt: skip
    parts = [*required(), *carried()]
    bom = Bom(components=parts, serial_number=uuid5(NAMESPACE_URL, f"sha256:{digest}"))
    bom.metadata.component, bom.metadata.timestamp = itself, at
    bom.register_dependency(itself, parts)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def required() -> Iterator[Component]:
    """The locked requirements, those of extras as optional; of what another system needs no licence is known here."""
    always = {told.name for told in RequirementsFile.from_file(str(_LOCK)).requirements}
    for told in RequirementsFile.from_file(str(_LOCK_OF_ALL)).requirements:
        name, (pin,) = str(told.name), told.specifier
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=one.partition(":")[2]) for one in told.hash_options]
        yield Component(
            name=name, version=pin.version, type=ComponentType.LIBRARY,
            scope=ComponentScope.REQUIRED if name in always else ComponentScope.OPTIONAL,
            bom_ref=f"pypi/{name}", purl=PackageURL("pypi", None, name.lower(), pin.version),
            licenses=[_LICENCES.make_from_string(text) for text in _licence(name)],
            external_references=[ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION, hashes=hashes,
                url=XsUri(_INDEX.format(name=name, version=pin.version)),
            )],
        )  # fmt: skip


def _licence(name: str) -> list[str]:
    """How the package itself calls its licence: as an SPDX expression, by its classifiers, or in a word of its own."""
    try:
        told = metadata.metadata(name).json
    except metadata.PackageNotFoundError:
        return []
    classified = re.findall(r"License :: (?:OSI Approved :: )?(.+)", "\n".join(told.get("classifier", ())))
    found = (
        told.get("license_expression") or " AND ".join(classified) or str(told.get("license", "")).partition("\n")[0]
    )
    return [str(found)] if found else []


def carried() -> Iterator[Component]:
    """The packages of npm whose files are in the wheel; their hash is that of the package that npm compared."""
    shipped = runpy.run_path(str(_CONSOLE / "parts.py"))["shipped"]()
    locked: dict[str, Any] = json.loads((_CONSOLE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for name in sorted(shipped):
        told = locked[f"node_modules/{name}"]
        digest = base64.b64decode(told["integrity"].removeprefix("sha512-")).hex()
        yield Component(
            name=name, version=told["version"], type=ComponentType.LIBRARY, scope=ComponentScope.REQUIRED,
            bom_ref=f"npm/{name}", purl=PackageURL("npm", None, name, told["version"]),
            licenses=[_LICENCES.make_from_string(told["license"])],
            hashes=[HashType(alg=HashAlgorithm.SHA_512, content=digest)],
        )  # fmt: skip


def main(folder: Path) -> None:
    """Write the SBOM beside each wheel of a folder."""
    at = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    for wheel in sorted(folder.glob("*.whl")):
        wheel.with_suffix(".cdx.json").write_text(sbom(wheel, at), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
