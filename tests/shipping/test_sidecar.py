"""The sidecar: in a pod of one's own, and in pods of Cloud Pak for Data. It gates neither start nor readiness."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import chart
from sandbox.chart import of_kind, problems
from sandbox.tools import find

ROOT = Path(__file__).parents[2]
Render = Callable[..., list[Any]]


@pytest.fixture
def patch(render: Render) -> list[Any]:
    [found] = [m for m in of_kind(render("sidecar"), "ConfigMap") if "patch.json" in m["data"]]
    operations: list[Any] = json.loads(found["data"]["patch.json"])
    return operations


@pytest.fixture(scope="module")
def umbrella(tmp_path_factory: pytest.TempPathFactory, render: Render) -> list[Any]:
    """The example chart, whose pod includes the named template, rendered."""
    render("sidecar")  # skips where there is no helm
    place = tmp_path_factory.mktemp("charts")
    shutil.copytree(chart.CHART, place / "helm")
    shutil.copytree(ROOT / "examples" / "sidecar", place / "examples" / "sidecar")
    own = place / "examples" / "sidecar"
    subprocess.run([find("helm"), "dependency", "build", own], check=True, capture_output=True)
    return chart.render(None, chart=own)


def assert_gates_nothing(container: Any) -> None:
    assert not container.keys() & {"startupProbe", "readinessProbe", "livenessProbe", "lifecycle"}
    command = ["python", "-m", "service.process.supervisor"]
    assert container["command"] == command, "what never ends never makes a pod unready"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}


def test_the_mode_sidecar_runs_nothing_by_itself(render: Render) -> None:
    kinds = {manifest["kind"] for manifest in render("sidecar")}
    assert kinds == {"ServiceAccount", "NetworkPolicy", "Job", "ConfigMap", "PodMonitor"}, "the Job brings the schema"


def test_the_patch_of_cloud_pak_for_data_adds_a_container_that_gates_nothing(patch: list[Any]) -> None:
    pod: dict[str, Any] = {"containers": [{"name": "api", "image": "api:1"}], "volumes": [{"name": "own"}]}
    for operation in patch:
        assert operation["op"] == "add"
        where, end = operation["path"].rsplit("/", 1)
        assert end == "-", "only appends: nothing of the pod is replaced"
        pod[where.removeprefix("/spec/")].append(operation["value"])
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "api"}, "spec": pod}
    assert problems([whole], chart.KUBERNETES[0]) == []
    assert_gates_nothing(pod["containers"][1])
    mounted = {mount["name"] for mount in pod["containers"][1]["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]} - {"own"}


def test_files_can_be_read_by_whomever_the_pod_runs_as(patch: list[Any]) -> None:
    modes = [op["value"]["projected"]["defaultMode"] for op in patch if "projected" in op["value"]]
    assert modes == [0o444, 0o444]


def test_a_chart_of_ones_own_includes_a_native_sidecar(umbrella: list[Any]) -> None:
    [deployment] = of_kind(umbrella, "Deployment")
    assert problems(umbrella, chart.KUBERNETES[1]) == []
    [sidecar] = deployment["spec"]["template"]["spec"]["initContainers"]
    assert sidecar["restartPolicy"] == "Always", "which makes it a sidecar"
    assert_gates_nothing(sidecar)
    assert of_kind(umbrella, "Job"), "the schema is brought up to date beside the pod, not in it"
