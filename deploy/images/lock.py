"""Writes the requirements of the images, every package pinned with the hashes of its files: `make lock`.

    python deploy/images/lock.py WHERE      WHERE: folder or page that lists the CPU build of torch

all.txt holds what the three images share; cpu.txt, gpu.txt and vllm.txt what each has beside it. The vLLM image is
resolved first, because vLLM is the strictest; the others take its versions. No file names an index. Needs `uv`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
EXTRAS = ("embeddings", "s3", "ray", "cluster", "qlora")

Pins = dict[str, str]
"""Package -> its lines: the pin and a hash a line."""


def main(cpu_torch: str) -> None:
    """Resolve every image and write what they share and what they do not."""
    vllm = resolve((ROOT / "constraints-cpu.txt").read_text(), "--extra=vllm")
    versions = "".join(pin(lines) + "\n" for lines in vllm.values())
    gpu = resolve(versions)
    cpu = resolve(versions.replace(pin(vllm["torch"]), pin(vllm["torch"]) + "+cpu"), f"--find-links={cpu_torch}")
    shared = dict(set(vllm.items()) & set(gpu.items()) & set(cpu.items()))
    write("all", shared)
    for kind, pins in {"cpu": cpu, "gpu": gpu, "vllm": vllm}.items():
        write(kind, {name: lines for name, lines in pins.items() if name not in shared})


def resolve(versions: str, *arguments: str) -> Pins:
    """Everything that one image installs, in these versions where they name a package."""
    with tempfile.TemporaryDirectory() as folder:
        constraints, out = Path(folder, "constraints.txt"), Path(folder, "out.txt")
        constraints.write_text(versions)
        command = [
            *("uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-annotate", "--no-header"),
            *("--python-version=3.11", "--python-platform=x86_64-manylinux_2_28"),
            *(f"--extra={extra}" for extra in EXTRAS),
            *(*arguments, f"--constraint={constraints}", f"--output-file={out}", "pyproject.toml"),
        ]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return parse(out.read_text())


def parse(text: str) -> Pins:
    """The packages of a requirements file."""
    pins: Pins = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if not line.startswith(" "):
            name = line.partition("==")[0]
        pins[name] = pins.get(name, "") + line
    return pins


def pin(lines: str) -> str:
    """`name==version`, without marks and hashes."""
    return lines.split()[0]


def write(kind: str, pins: Pins) -> None:
    text = "".join(pins[name] for name in sorted(pins))
    (HERE / f"{kind}.txt").write_text(f"# Written by deploy/images/lock.py.\n{text}")


if __name__ == "__main__":
    main(sys.argv[1])
