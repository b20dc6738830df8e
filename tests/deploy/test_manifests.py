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
from prefect.utilities.templating import apply_values
from prefect_kubernetes.settings import KubernetesSettings
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
    assert all(one["mem_limit"] for one in SERVICES.values())


def test_what_uses_a_gpu_may_load_what_it_compiles() -> None:
    """Compose mounts a tmpfs noexec, and Triton's kernels are started by libraries that it builds there."""
    used = [one for one in SERVICES.values() if "deploy" in one]
    assert len(used) == 2
    assert all("exec" in place.partition(":")[2].split(",") for one in used for place in one["tmpfs"])


def test_workers_are_told_what_runs_need() -> None:
    for name in ("worker-cpu", "worker-gpu"):
        assert SERVICES[name]["environment"].keys() >= {"FLYWHEEL_SECRET", "FLYWHEEL_SERVE_KEY", "PREFECT_API_URL"}
        assert SERVICES[name]["env_file"] == [{"path": "workers.env", "required": False}]


def test_what_is_downloaded_lies_on_the_volume() -> None:
    variables = dict(re.findall(r"(\w+)=(\S+)", (DEPLOY / "images/Dockerfile").read_text()))
    (volume,) = SERVICES["worker-cpu"]["volumes"]
    place = volume.partition(":")[2]
    assert f'"mountPath": "{place}"' in (DEPLOY / "kubernetes/job-template.json").read_text()
    assert all(variables[name].startswith(f"{place}/") for name in ("FLYWHEEL_CACHE", "HF_HOME"))


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


def test_jobs_are_told_where_the_password_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the worker writes it into the manifest of every job."""
    worker = yaml.safe_load((DEPLOY / "kubernetes/prefect-worker.yaml").read_text())["worker"]
    for variable in worker["extraEnvVars"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    found = KubernetesSettings().worker
    secret = worker["selfHostedServerApiConfig"]["basicAuth"]["existingSecret"]
    assert (found.api_auth_string_secret_name, found.api_auth_string_secret_key) == (secret, "auth-string")


def test_the_readme_names_every_file_and_every_secret() -> None:
    text = (DEPLOY / "README.md").read_text()
    files = sorted((DEPLOY / "kubernetes").iterdir())
    assert not [file.name for file in files if file.name not in text]
    keys = {key for file in files for key in re.findall(r"key: ([\w-]+)", file.read_text())}
    assert keys >= {"FLYWHEEL_SECRET", "auth-string"}
    assert not [key for key in keys if f"`{key}`" not in text]


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    ("name", "image", "gpus"), [("nightly", "here/flywheel:cpu", None), ("train-sft", "here/flywheel:gpu", 1)]
)
def test_prefect_makes_a_valid_job_of_a_deployment(
    name: str, image: str, gpus: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the worker does for a flow run, in the images that FLYWHEEL_IMAGE names; only trainings take a GPU."""
    monkeypatch.setenv("FLYWHEEL_IMAGE", "here/flywheel")
    monkeypatch.setenv("FLYWHEEL_HOME", "/flywheel")
    known = yaml.safe_load((DEPLOY / "prefect.yaml").read_text())["deployments"]
    (deployment,) = [one for one in known if one["name"] == name]
    manifest = job(apply_values(deployment["work_pool"]["job_variables"], {}))
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    pod = manifest["spec"]["template"]["spec"]
    assert_modest(pod)
    assert pod["containers"][0]["image"] == image
    assert pod["containers"][0]["resources"]["limits"].get("nvidia.com/gpu") == gpus


def job(variables: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a flow run's job."""
    template = json.loads((DEPLOY / "kubernetes/job-template.json").read_text())
    made = asyncio.run(KubernetesWorkerJobConfiguration.from_template_and_values(template, variables))
    made.prepare_for_flow_run(FlowRun(flow_id=uuid4(), name="a-night"))
    return made.job_manifest


def assert_modest(pod: dict[str, Any]) -> None:
    """Not root, no privileges, a read-only file system, bounded memory, no token of the cluster."""
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
