"""Compose, Kubernetes and Helm files against their schemas; what compose and Kubernetes start, and who may do what."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import kubernetes_validate
import pytest
import yaml
from prefect.client.schemas.objects import FlowRun
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

DEPLOY = Path("deploy")
KUBERNETES = "1.31"
MANIFESTS = [
    (file.name, manifest)
    for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    if not file.name.startswith("prefect-")
    for manifest in yaml.safe_load_all(file.read_text())
]
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def schema_says(*arguments: str | Path) -> None:
    program = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_follows_its_specification() -> None:
    schema_says("--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_compose_starts_nothing_without_secrets_and_listens_on_the_loopback() -> None:
    names = set(re.findall(r"^(\w+)=$", (DEPLOY / "example.env").read_text(), re.MULTILINE))
    text = (DEPLOY / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+)", text)) - {"FLYWHEEL_IMAGE"}
    assert asked == names
    assert asked == set(re.findall(r"\$\{(\w+):\?", text)), "a secret without `:?` would be empty when it is not set"
    assert all(port.startswith("127.0.0.1:") for one in SERVICES.values() for port in one.get("ports", ()))


def test_compose_asks_for_a_password_and_runs_ours_without_privileges() -> None:
    for name in ("server", "services", "migrate"):
        assert "PREFECT_SERVER_API_AUTH_STRING" in SERVICES[name]["environment"]
    ours = [one for one in SERVICES.values() if "FLYWHEEL_IMAGE" in one["image"]]
    assert len(ours) == len(SERVICES) - 2
    assert all(one["read_only"] and one["cap_drop"] == ["ALL"] for one in ours)


@pytest.mark.parametrize(("file", "manifest"), MANIFESTS, ids=[f"{file}-{one['kind']}" for file, one in MANIFESTS])
def test_kubernetes_accepts_the_manifest(file: str, manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    if "template" in manifest["spec"]:
        assert_modest(manifest["spec"]["template"]["spec"])


@pytest.mark.parametrize("chart", ["prefect-server", "prefect-worker"])
def test_the_values_are_those_of_prefects_charts(chart: str) -> None:
    """The schemas are those of github.com/PrefectHQ/prefect-helm at 75b0c27 (Apache-2.0)."""
    schema_says("--schemafile", f"tests/deploy/charts/{chart}.schema.json", DEPLOY / f"kubernetes/{chart}.yaml")


def test_the_prefect_of_the_charts_asks_for_a_password() -> None:
    server = yaml.safe_load((DEPLOY / "kubernetes/prefect-server.yaml").read_text())["server"]
    worker = yaml.safe_load((DEPLOY / "kubernetes/prefect-worker.yaml").read_text())["worker"]
    assert server["basicAuth"] == worker["selfHostedServerApiConfig"]["basicAuth"]
    assert server["basicAuth"]["enabled"]


@pytest.mark.slow
@pytest.mark.parametrize("gpus", [None, 1])
def test_prefect_makes_a_valid_job_of_the_template(gpus: int | None, prefect_server: str) -> None:
    """As the worker does for a flow run, with and without a GPU."""
    template = json.loads((DEPLOY / "kubernetes/job-template.json").read_text())
    values = {"gpus": gpus, "image": "flywheel:gpu"} if gpus else {}
    job = asyncio.run(KubernetesWorkerJobConfiguration.from_template_and_values(template, values))
    job.prepare_for_flow_run(FlowRun(flow_id=uuid4(), name="a-night"))
    manifest = job.job_manifest
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    pod = manifest["spec"]["template"]["spec"]
    assert_modest(pod)
    limits = pod["containers"][0]["resources"]["limits"]
    assert limits.get("nvidia.com/gpu") == gpus


def assert_modest(pod: dict[str, Any]) -> None:
    """Not root, no privileges, bounded memory, no token of the cluster."""
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
