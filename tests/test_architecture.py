"""The rules of CONTRIBUTING.md that a machine can check: import directions, the doors, short files."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ["configs", "storage", "tasks", "flows"]
SHARED = {"text", "lm", "engine", "inference", "records"}
SOURCES = sorted(file for layer in LAYERS for file in (ROOT / layer).rglob("*.py"))
PURE = [file for file in SOURCES if file.relative_to(ROOT).parts[0] == "tasks" and file.name != "task.py"]


def imports(file: Path) -> Iterator[str]:
    """Dotted names of all modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: write imports in full"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", SOURCES, ids=name)
def test_imports_point_one_way(file: Path) -> None:
    layer = LAYERS.index(file.relative_to(ROOT).parts[0])
    above = {*LAYERS[layer + 1 :], "tests"}
    wrong = [module for module in imports(file) if module.split(".")[0] in above]
    assert not wrong, f"{name(file)} imports {wrong}; imports point configs <- storage <- tasks <- flows"


@pytest.mark.parametrize("file", [file for file in SOURCES if name(file).startswith("tasks/")], ids=name)
def test_a_step_never_imports_another(file: Path) -> None:
    own = file.relative_to(ROOT).parts[1]
    steps = {module.split(".")[1] for module in imports(file) if module.startswith("tasks.")}
    allowed = SHARED if own in SHARED else {own, *SHARED}
    assert steps <= allowed, f"{name(file)} imports {steps - allowed}; what steps share: {sorted(SHARED)}"


def test_only_doors_know_prefect() -> None:
    modules = [name(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in PURE]
    code = f"import importlib, sys\nfor m in {modules}: importlib.import_module(m)\nsys.exit('prefect' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or "a module other than task.py imports prefect"


def test_top_level_folders_are_those_of_the_design() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    folders = {path.split("/")[0] for path in listed if "/" in path}
    assert folders <= {*LAYERS, "deploy", "tests", ".ci", ".github"}


@pytest.mark.parametrize("file", SOURCES, ids=name)
def test_files_stay_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 330, f"{name(file)}: ask whether it is two things"
