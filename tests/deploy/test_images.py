"""The images: hadolint finds nothing, every package is pinned by hash, and nothing runs as root."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.images.lock import EXTRAS

IMAGES = Path("deploy/images")
KINDS = ("cpu", "gpu", "vllm")


def pins(kind: str) -> dict[str, str]:
    """Package -> version of everything in an image."""
    text = (IMAGES / "all.txt").read_text() + (IMAGES / f"{kind}.txt").read_text()
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    assert len(found) == len({name for name, _ in found}), f"{kind}: a package is pinned twice"
    return {canonicalize_name(name): version for name, version in found}


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([program, IMAGES / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_image_runs_is_not_root() -> None:
    users = re.findall(r"^USER (.*)$", (IMAGES / "Dockerfile").read_text(), re.MULTILINE)
    assert users == ["1000:1000"]


def test_secrets_of_the_checkout_are_not_copied() -> None:
    lines = (IMAGES / "Dockerfile.dockerignore").read_text().splitlines()
    assert lines.index("deploy/*.env") > lines.index("!deploy"), "the last line that matches counts"


@pytest.mark.parametrize("kind", ["all", *KINDS])
def test_every_requirement_has_a_hash_and_none_an_address(kind: str) -> None:
    text = (IMAGES / f"{kind}.txt").read_text()
    for entry in re.split(r"\n(?=\S)", text.strip())[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert not re.search(r"://|--index|--find-links|--extra-index| @ ", text)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pins_are_what_pyproject_asks_for(kind: str) -> None:
    """Else `make lock` has to be run again."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = [*EXTRAS, *["vllm"] * (kind == "vllm")]
    wanted = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    pinned = pins(kind)
    for requirement in map(Requirement, wanted):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is in pyproject.toml and not in {kind}.txt: run `make lock`"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}, but {kind}.txt has {version}"
