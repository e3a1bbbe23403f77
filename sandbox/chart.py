"""Renders the chart with the real helm, and judges manifests by the schemas of Kubernetes.

`python -m sandbox.chart` does so for every value set; in CI it fails where there is no helm.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from sandbox.tools import ToolMissing, find

CHART = Path(__file__).parents[1] / "helm"
#: Values for which the chart must always render, by name.
VALUE_SETS = {path.stem: path for path in sorted((CHART / "ci").glob("*.yaml"))}
#: The oldest Kubernetes that the chart claims, and the newest whose schemas are locked here.
KUBERNETES = ("1.25", "1.37")
RELEASE, NAMESPACE = "cm", "mirror"

Manifest = dict[str, Any]


class Refused(Exception):
    """Helm would not render; the text is what it said."""


def render(values: Path | None, *settings: str, chart: Path = CHART) -> list[Manifest]:
    """The manifests that `helm template` makes of a value set and `--set` arguments.

    Raises:
        Refused: the values do not suit.
        ToolMissing: there is no helm here.
    """
    arguments = [str(find("helm")), "template", RELEASE, str(chart), "--namespace", NAMESPACE]
    arguments += ["--values", str(values)] if values else []
    arguments += [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stderr)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def problems(manifests: Iterable[Manifest], version: str) -> list[str]:
    """What Kubernetes of that version would refuse in its own kinds, unknown fields included."""
    found = []
    for manifest in manifests:
        if is_custom(manifest):
            continue
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{manifest['kind']} {'.'.join(map(str, error.path))}: {error.message}")
    return found


def is_custom(manifest: Manifest) -> bool:
    """Whether the kind is an operator's own."""
    group = str(manifest["apiVersion"]).partition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def of_kind(manifests: Iterable[Manifest], kind: str) -> list[Manifest]:
    """The manifests of one kind."""
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def pods_of(manifests: Iterable[Manifest]) -> dict[str, Manifest]:
    """The specification of every pod that would run, by kind and name of what makes it."""
    return {
        f"{manifest['kind']} {manifest['metadata']['name']}": manifest["spec"]["template"]["spec"]
        for manifest in manifests
        if manifest["kind"] in {"Deployment", "Job"}
    }


def containers_of(pod: Manifest) -> list[Manifest]:
    """Its containers, those that run first included."""
    containers: list[Manifest] = [*pod.get("initContainers", []), *pod["containers"]]
    return containers


def main() -> int:
    """Judge every value set; 1 where something is refused."""
    refused = 0
    for name, values in VALUE_SETS.items():
        try:
            manifests = render(values)
        except ToolMissing as missing:
            print(f"Note: {missing}", file=sys.stderr)
            return 1 if os.environ.get("CI") else 0
        found = [f"{name}: {problem}" for version in KUBERNETES for problem in problems(manifests, version)]
        print(
            "\n".join(found) or f"{name}: {len(manifests)} manifests, valid for Kubernetes {' and '.join(KUBERNETES)}"
        )
        refused += len(found)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
