"""The chart as Kubernetes would get it: every value set renders, is valid, and is as hardened as it can be."""

import base64
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sandbox.chart import KUBERNETES, VALUE_SETS, containers_of, is_custom, of_kind, pods_of, problems
from sandbox.tools import find
from service.settings.model import Settings, load

ROOT = Path(__file__).parents[2]
CRDS = Path(__file__).parent / "crds"
Render = Callable[..., list[Any]]


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_valid_for_kubernetes(manifests: list[Any], version: str) -> None:
    assert problems(manifests, version) == []


def test_every_custom_resource_is_valid_for_its_operator(manifests: list[Any]) -> None:
    for manifest in filter(is_custom, manifests):
        schema = json.loads((CRDS / f"{manifest['kind']}.json").read_text(encoding="utf-8"))
        jsonschema.validate(manifest, schema)


def test_every_container_is_hardened(manifests: list[Any], value_set: str) -> None:
    pods = pods_of(manifests)
    assert pods
    for pod in pods.values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"}
        for container in containers_of(pod):
            assert_hardened(container)


def assert_hardened(container: Any) -> None:
    security = container["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert all("hostPort" not in port for port in container.get("ports", []))


def test_no_volume_reaches_the_node_and_no_role_is_asked_for(manifests: list[Any]) -> None:
    for pod in pods_of(manifests).values():
        kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"projected", "emptyDir", "persistentVolumeClaim", "csi"}, (
            "what the restricted standard lets in"
        )
        mounted = {mount["name"] for container in containers_of(pod) for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}, "every volume is used, every mount exists"
    assert {manifest["kind"] for manifest in manifests}.isdisjoint({"Role", "ClusterRole", "RoleBinding", "Namespace"})
    assert all(account["automountServiceAccountToken"] is False for account in of_kind(manifests, "ServiceAccount"))


def test_one_value_redirects_every_image(value_set: str, render: Render) -> None:
    elsewhere = render(value_set, "global.imageRegistry=mirror.example.org/x")
    images = [container["image"] for pod in pods_of(elsewhere).values() for container in containers_of(pod)]
    images += [step["value"]["image"] for step in rsi_patch(elsewhere) if "image" in step["value"]]
    assert images
    assert all(image.startswith("mirror.example.org/x/catalog-mirror") for image in images)


def test_no_secret_stands_in_an_environment_or_an_argument(manifests: list[Any]) -> None:
    for pod in pods_of(manifests).values():
        for container in containers_of(pod):
            text = json.dumps({key: container.get(key) for key in ("env", "args", "command")})
            assert "change-me" not in text
            assert "postgresql://" not in text
            assert "secretKeyRef" not in text, "a secret in the environment cannot rotate without a restart"
            assert not any("subPath" in mount for mount in container["volumeMounts"]), "nor one mounted so"


def test_everything_is_made_in_the_namespace_of_the_release(manifests: list[Any]) -> None:
    assert {manifest["metadata"]["namespace"] for manifest in manifests} == {"mirror"}


def test_the_environment_is_one_that_the_service_reads(
    manifests: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for pod in pods_of(manifests).values():
        for container in containers_of(pod):
            with monkeypatch.context() as environment:
                for variable in container["env"]:
                    value = variable["value"]
                    if is_secret_file(variable["name"]):
                        value = str(tmp_path / variable["name"])
                        Path(value).write_text(example_of(variable["name"]), encoding="utf-8")
                    environment.setenv(variable["name"], value)
                assert isinstance(load(), Settings)


def is_secret_file(variable: str) -> bool:
    """Whether the service reads the file for the secret in it, rather than handing its name to TLS."""
    return variable.endswith("_FILE") and not variable.endswith(("__CA_FILE", "__CERT_FILE", "__KEY_FILE"))


def example_of(variable: str) -> str:
    scheme = "postgresql" if "STORE" in variable else "amqp" if "AMQP__URL" in variable else "http"
    return f"{scheme}://user:password@host/x"


def test_the_grace_period_leaves_room_for_the_drain(render: Render) -> None:
    [deployment] = of_kind(render("large", "drainSeconds=40", "preStopSeconds=7"), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert environment["CATALOG_MIRROR_PIPELINE__DRAIN_S"] == "40"
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "7"]
    assert pod["terminationGracePeriodSeconds"] >= 40 + 7 + 5


def test_the_running_service_never_sees_the_role_that_may_change_the_schema(render: Render) -> None:
    manifests = render("large")
    pods = pods_of(manifests)
    service, migration = pods["Deployment cm-catalog-mirror"], pods["Job cm-catalog-mirror-migrate"]
    assert "migration" not in json.dumps(service).lower()
    assert "STORE__MIGRATION_URL_FILE" in json.dumps(migration)
    assert "AMQP" not in json.dumps(migration), "a migration sees nothing but the store"
    [container] = service["containers"]
    assert {"name": "CATALOG_MIRROR_STORE__MIGRATE", "value": "false"} in container["env"]


def test_each_of_our_certificates_is_mounted_where_it_is_looked_for_and_no_key_for_everybody(render: Render) -> None:
    pods = pods_of(render("large"))
    assert files_in(pods["Deployment cm-catalog-mirror"]) == {
        "AMQP__CERT_FILE": ("broker-client", "client.crt"),
        "AMQP__KEY_FILE": ("broker-client", "client.key"),
        "STORE__CERT_FILE": ("mirror-certificate", "tls.crt"),
        "STORE__KEY_FILE": ("mirror-certificate", "tls.key"),
    }
    assert files_in(pods["Job cm-catalog-mirror-migrate"]) == {
        "STORE__CERT_FILE": ("mirror-owner-certificate", "tls.crt"),
        "STORE__KEY_FILE": ("mirror-owner-certificate", "tls.key"),
    }
    alike = pods_of(render("large", "store.migrationCertificateFrom=null"))["Job cm-catalog-mirror-migrate"]
    assert files_in(alike)["STORE__KEY_FILE"] == ("mirror-certificate", "tls.key")


def files_in(pod: Any) -> dict[str, tuple[str, str]]:
    """From a setting that names a part of our certificate to Secret and key that lie at the place it names."""
    [container] = pod["containers"]
    named = {one["name"]: one["value"] for one in container["env"]}
    found = {}
    for volume in pod["volumes"]:
        [mount] = [one for one in container["volumeMounts"] if one["name"] == volume["name"]]
        for source in volume.get("projected", {}).get("sources", ()):
            for item in source.get("secret", {}).get("items", ()):
                place = f"{mount['mountPath']}/{item['path']}"
                for name, value in named.items():
                    if value == place and name.endswith(("__CERT_FILE", "__KEY_FILE")):
                        assert volume["projected"]["defaultMode"] & 0o007 == 0, "the service refuses such a key"
                        found[name.removeprefix("CATALOG_MIRROR_")] = (source["secret"]["name"], item["key"])
    return found


def test_keda_asks_the_broker_with_our_certificate(render: Render) -> None:
    [asks] = of_kind(render("large"), "TriggerAuthentication")
    told = {one["parameter"]: (one["name"], one["key"]) for one in asks["spec"]["secretTargetRef"]}
    assert told["cert"] == ("broker-client", "client.crt")
    assert told["key"] == ("broker-client", "client.key")
    [alone] = of_kind(render("large", "ca.configMap="), "TriggerAuthentication")
    assert [one["parameter"] for one in alone["spec"]["configMapTargetRef"]] == ["tls"]


def test_a_hook_brings_all_that_it_needs(render: Render) -> None:
    manifests = render("openshift", "migrations.mode=hook")
    hooks = {(m["kind"], m["metadata"]["name"]): m for m in manifests if "helm.sh/hook" in annotations_of(m)}
    job = hooks["Job", "cm-catalog-mirror-migrate"]
    pod = job["spec"]["template"]["spec"]
    assert ("ServiceAccount", pod["serviceAccountName"]) in hooks
    secrets = {
        source["secret"]["name"]
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        if "secret" in source
    }
    assert {("Secret", name) for name in secrets} <= set(hooks), "nothing of the release is there before an install"
    assert ("NetworkPolicy", "cm-catalog-mirror-migrate") in hooks
    weights = {kind: int(annotations_of(m)["helm.sh/hook-weight"]) for (kind, _), m in hooks.items()}
    assert weights["Secret"] < weights["Job"]
    assert weights["ServiceAccount"] < weights["Job"]
    assert all("before-hook-creation" in annotations_of(m)["helm.sh/hook-delete-policy"] for m in hooks.values())


def annotations_of(manifest: Any) -> dict[str, str]:
    found: dict[str, str] = manifest["metadata"].get("annotations", {})
    return found


def test_a_job_is_another_one_when_it_would_do_something_else(render: Render) -> None:
    names = [
        of_kind(render("openshift", *settings), "Job")[0]["metadata"]["name"]
        for settings in ((), ("image.tag=9.9.9",), ("store.url=postgresql://elsewhere/x",), ("replicaCount=3",))
    ]
    assert len(set(names)) == 3, "a Job cannot be changed"
    assert names[0] == names[3], "and nothing is done twice"
    assert not any("helm.sh/hook" in annotations_of(m) for m in render("openshift"))


@pytest.mark.parametrize(("mode", "kinds"), [("init", set()), ("off", set()), ("job", {"Job"}), ("hook", {"Job"})])
def test_every_way_to_migrate_renders(mode: str, kinds: set[str], render: Render) -> None:
    manifests = render("openshift", f"migrations.mode={mode}")
    assert {manifest["kind"] for manifest in manifests} & {"Job"} == kinds
    [deployment] = of_kind(manifests, "Deployment")
    assert ("initContainers" in deployment["spec"]["template"]["spec"]) == (mode == "init")


def test_sqlite_is_never_written_by_two_pods(render: Render) -> None:
    [deployment] = of_kind(render("small"), "Deployment")
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert deployment["spec"]["replicas"] == 1
    [claim] = of_kind(render("small"), "PersistentVolumeClaim")
    assert annotations_of(claim)["helm.sh/resource-policy"] == "keep"


def test_replicas_are_spread_and_not_taken_away_together(render: Render) -> None:
    manifests = render("large")
    assert of_kind(manifests, "PodDisruptionBudget")[0]["spec"]["maxUnavailable"] == 1
    assert of_kind(render("small"), "PodDisruptionBudget") == [], "it would keep one replica from ever moving"
    [deployment] = of_kind(manifests, "Deployment")
    assert "replicas" not in deployment["spec"], "KEDA's"
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert len(deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]) == 2


def test_probes_ask_what_they_are_for(render: Render) -> None:
    [container] = pods_of(render("small"))["Deployment cm-catalog-mirror"]["containers"]
    paths = {kind: container[kind]["httpGet"]["path"] for kind in container if kind.endswith("Probe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}


def test_openshift_gives_the_user_itself(render: Render) -> None:
    for pod in pods_of(render("openshift")).values():
        assert not pod["securityContext"].keys() & {"runAsUser", "runAsGroup", "fsGroup"}


def test_selectors_find_what_they_are_for(render: Render) -> None:
    manifests = render("large")
    [deployment] = of_kind(manifests, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    [service] = of_kind(manifests, "Service")
    [monitor] = of_kind(manifests, "ServiceMonitor")
    policy, of_migrations = of_kind(manifests, "NetworkPolicy")
    assert service["spec"]["selector"].items() <= labels
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    [job] = of_kind(manifests, "Job")
    of_job = job["spec"]["template"]["metadata"]["labels"].items()
    assert not service["spec"]["selector"].items() <= of_job
    assert of_migrations["spec"]["podSelector"]["matchLabels"].items() <= of_job
    assert "ingress" not in of_migrations["spec"], "nobody calls a migration"


def test_keda_asks_for_our_queue_with_the_secret_that_the_service_has(render: Render) -> None:
    manifests = render("large")
    [scaled] = of_kind(manifests, "ScaledObject")
    [trigger] = scaled["spec"]["triggers"]
    assert trigger["metadata"]["queueName"] == "catalog-mirror"
    assert scaled["spec"]["minReplicaCount"] >= 1, "what polls and relays must never be scaled away"
    [authentication] = of_kind(manifests, "TriggerAuthentication")
    assert authentication["spec"]["secretTargetRef"][0] == {"parameter": "host", "name": "catalog-broker", "key": "url"}
    own = render("large", "amqp.urlFrom=null", "amqp.url=amqps://u:p@h/")
    [authentication] = of_kind(own, "TriggerAuthentication")
    [secret] = of_kind(own, "Secret")
    reference = authentication["spec"]["secretTargetRef"][0]  # then come the certificate and its key
    assert reference["name"] == secret["metadata"]["name"]
    assert base64.b64decode(secret["data"][reference["key"]]) == b"amqps://u:p@h/"


def test_keda_follows_every_queue_with_its_share_of_the_messages(render: Render) -> None:
    manifests = render("large", "amqp.queues=4", "autoscaling.messagesPerReplica=1000")
    [scaled] = of_kind(manifests, "ScaledObject")
    told = [(one["metadata"]["queueName"], one["metadata"]["value"]) for one in scaled["spec"]["triggers"]]
    names = ["catalog-mirror", "catalog-mirror.2", "catalog-mirror.3", "catalog-mirror.4"]
    assert told == [(name, "250") for name in names]
    [container] = pods_of(manifests)["Deployment cm-catalog-mirror"]["containers"]
    assert {"name": "CATALOG_MIRROR_AMQP__QUEUES", "value": "4"} in container["env"]


def test_the_value_sets_are_those_that_the_documents_name() -> None:
    assert set(VALUE_SETS) == {"small", "large", "sidecar", "openshift"}


def rsi_patch(manifests: list[Any]) -> list[Any]:
    found = [m["data"]["patch.json"] for m in of_kind(manifests, "ConfigMap") if "patch.json" in m["data"]]
    patch: list[Any] = json.loads(found[0]) if found else []
    return patch


def test_every_helm_command_of_the_documents_renders(tmp_path: Path, render: Render) -> None:
    render("small")  # skips where there is no helm
    page = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
    [values] = re.findall(r"^`values.yaml`:\n\n```yaml\n(.*?)^```", page, re.M | re.S)
    (tmp_path / "values.yaml").write_text(values, encoding="utf-8")
    (tmp_path / "helm").symlink_to(ROOT / "helm")
    commands = [line for block in re.findall(r"^```bash\n(.*?)^```", page, re.M | re.S) for line in block.splitlines()]
    assert len(commands) == 3
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "helm"
        assert words[1] in {"install", "upgrade"}
        done = subprocess.run(
            [find("helm"), "template", *words[2:]], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        manifests = [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
        assert problems(manifests, KUBERNETES[-1]) == []
        names = {manifest["metadata"]["name"] for manifest in manifests}
        assert "catalog-mirror" in names, "the name that the other commands of the page use"
        assert "catalog-mirror-rsi" in names or {"mirror-database", "catalog-broker"} <= set(
            re.findall(r"[\w-]+", done.stdout)
        )


def test_the_api_is_in_the_service_once_it_has_tokens(render: Render) -> None:
    for settings, there in (
        ((), False),
        (("api.tokensFrom.secret=mirror-tokens",), True),
        (("api.oidcIssuer=https://id.example.com", "api.oidcAudience=mirror"), True),
    ):
        manifests = render("small", *settings)
        [service], [policy] = of_kind(manifests, "Service"), of_kind(manifests, "NetworkPolicy")
        assert ("api" in {port["name"] for port in service["spec"]["ports"]}) is there
        assert ("cm-api" in json.dumps(policy)) is there


def test_the_admin_api_is_off_then_on_loopback_and_has_a_service_only_where_that_is_asked_for(render: Render) -> None:
    tokens, on, service = "api.tokensFrom.secret=mirror-tokens", "api.admin.enabled=true", "api.admin.service=true"
    who = "networkPolicy.adminFrom[0].podSelector.matchLabels.role=operator"
    for settings, host, services in (
        ((tokens,), None, []),
        ((tokens, on), "127.0.0.1", []),
        ((tokens, on, service), "0.0.0.0", ["ClusterIP"]),
        ((tokens, on, service, who, "service.type=LoadBalancer"), "0.0.0.0", ["ClusterIP"]),
    ):
        manifests = render("small", *settings)
        [pod] = [pod for name, pod in pods_of(manifests).items() if name.startswith("Deployment")]
        environment = {variable["name"]: variable["value"] for variable in pod["containers"][0]["env"]}
        assert environment.get("CATALOG_MIRROR_HTTP__ADMIN_HOST") == host
        assert environment.get("CATALOG_MIRROR_HTTP__ADMIN_PORT") == (host and "8082")
        of_admin = [one for one in of_kind(manifests, "Service") if one["metadata"]["name"].endswith("-admin")]
        assert [one["spec"]["type"] for one in of_admin] == services
        others = [one for one in of_kind(manifests, "Service") if one not in of_admin]
        assert "admin" not in json.dumps([one["spec"] for one in others]), "never beside what leads in from outside"
        [policy] = of_kind(manifests, "NetworkPolicy")
        let_in = [one["from"] for one in policy["spec"]["ingress"] if one["ports"] == [{"port": "cm-admin"}]]
        assert let_in == ([[{"podSelector": {"matchLabels": {"role": "operator"}}}]] if who in settings else [])
