# One command per wish; `make` lists them.
VENV ?= .venv
PYTHON ?= python3
CONSTRAINTS ?= constraints-cpu.txt
RUN = $(VENV)/bin
export HF_HUB_OFFLINE = 1
export HF_HUB_DISABLE_TELEMETRY = 1

.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/installed: pyproject.toml $(CONSTRAINTS)
	@echo "Installing into $(VENV) (a few minutes the first time) ..."
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	@$(RUN)/pip install --quiet --disable-pip-version-check $(addprefix -c ,$(CONSTRAINTS)) -e '.[dev,embeddings]'
	@touch $@

install: $(VENV)/installed ## make .venv with everything

model: install ## get the small model that the quickstart improves
	@$(RUN)/python -m tasks.lm.smollm2

quickstart: model ## turn the wheel once on the sample data
	@$(RUN)/flywheel run configs/quickstart.yaml

status: install ## what the lake holds
	@$(RUN)/flywheel status configs/quickstart.yaml

ui: model ## Prefect's UI with every flow, on this machine
	@$(RUN)/python -m flows.laptop

lint: install ## format, style and types
	@$(RUN)/ruff format --check .
	@$(RUN)/ruff check .
	@$(RUN)/mypy

test: model ## all tests
	@$(RUN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lock: ## pin what the images install anew; TORCH=folder or page with the CPU builds of torch
	@$(PYTHON) deploy/images/lock.py $(TORCH)

image-steps: ## what the CPU image installs, in an environment of its own under build/ (3 GB)
	@rm -rf build/image && $(PYTHON) -m venv build/image
	@build/image/bin/pip install --quiet --require-hashes --no-deps --only-binary=:all: \
		-r deploy/images/all.txt -r deploy/images/cpu.txt
	@build/image/bin/pip install --quiet --no-deps --no-build-isolation -e .
	@build/image/bin/pip check && cd build && image/bin/flywheel --help > /dev/null && echo "The CPU image installs."

audit: ## known weaknesses of what the images install (asks PyPI)
	@test -x build/audit/bin/pip-audit || ($(PYTHON) -m venv build/audit && build/audit/bin/pip install --quiet pip-audit)
	@for pins in all gpu vllm; do \
		echo "deploy/images/$$pins.txt"; \
		build/audit/bin/pip-audit --strict --disable-pip --require-hashes -r deploy/images/$$pins.txt || exit 1; \
	done

vllm-cpu: ## an environment with vLLM for the CPU
	@bash deploy/vllm-cpu.sh

clean: ## remove the quickstart's lake
	rm -rf lake lake.secret lake.spool

.PHONY: help install model quickstart status ui lint test lock image-steps audit vllm-cpu clean
