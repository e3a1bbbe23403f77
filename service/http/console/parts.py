"""The console's browser parts that are other people's work: taken from the npm registry as the lock says.

Their files are not committed. `make install`, the wheel's build and the image's put them into the package, so that who
runs the service needs no npm and no network:

    python service/http/console/parts.py

It needs nothing of this project, so that the build of the wheel can use it, too. `package.json` says by `shipped` which
files of each package are taken; `package-lock.json` which versions, with hashes that npm compares.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
#: Where their files lie, a folder for each package.
VENDOR = _HERE / "vendor"
_MODULES = _HERE / "node_modules"
_LOCK, _DECLARED = _HERE / "package-lock.json", _HERE / "package.json"
#: Says of which lock the files are.
_STAMP = VENDOR / "stamp"
_NPM = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")


class PartsMissing(Exception):
    """The parts cannot be had; the message says what to do."""


def shipped() -> dict[str, list[str]]:
    """The files of each package that the pages use, and its licence; paths within the package."""
    told: dict[str, list[str]] = json.loads(_DECLARED.read_text(encoding="utf-8"))["shipped"]
    return told


def versions() -> dict[str, str]:
    """The version of each package that is shipped."""
    locked = json.loads(_LOCK.read_text(encoding="utf-8"))["packages"]
    return {name: locked[f"node_modules/{name}"]["version"] for name in shipped()}


def licences() -> dict[str, str]:
    """The licence of each package that is shipped, by its SPDX name."""
    locked = json.loads(_LOCK.read_text(encoding="utf-8"))["packages"]
    return {name: locked[f"node_modules/{name}"]["license"] for name in shipped()}


def licence_text(package: str) -> str:
    """The text of a package's licence, as it came; empty where the parts are not there."""
    path = VENDOR / package / "LICENSE"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def are_there() -> bool:
    """Whether the package holds the files that the lock names."""
    return _STAMP.is_file() and _STAMP.read_text(encoding="utf-8") == _stamp()


def gather() -> None:
    """Put them into the package, unless they are there.

    Raises:
        PartsMissing: there is no npm, or it cannot get them.
    """
    if are_there():
        return
    if not _are_installed():
        _install()
    shutil.rmtree(VENDOR, ignore_errors=True)
    for package, names in shipped().items():
        (VENDOR / package).mkdir(parents=True)
        for name in names:
            shutil.copyfile(_MODULES / package / name, VENDOR / package / Path(name).name)
    _STAMP.write_text(_stamp(), encoding="utf-8")


def _stamp() -> str:
    return hashlib.sha256(_LOCK.read_bytes() + _DECLARED.read_bytes()).hexdigest()


def _are_installed() -> bool:
    """Whether `node_modules` is what the lock names; npm writes down what it installed."""
    try:
        text = (_MODULES / ".package-lock.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    installed: dict[str, Any] = json.loads(text)["packages"]
    locked: dict[str, Any] = json.loads(_LOCK.read_text(encoding="utf-8"))["packages"]
    of_pages = [f"node_modules/{name}" for name in shipped()]
    return all(installed.get(name, {}).get("integrity") == locked[name]["integrity"] for name in of_pages)


def _install() -> None:
    try:
        done = subprocess.run(_NPM, cwd=_HERE, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PartsMissing("there is no npm: install Node.js (sudo apt-get install nodejs npm)") from None
    if done.returncode:
        raise PartsMissing(f"npm could not get them: {(done.stderr or done.stdout).strip()[-2000:]}")


if __name__ == "__main__":
    try:
        gather()
    except PartsMissing as problem:
        sys.exit(f"The console's browser parts are not there, {problem}")
