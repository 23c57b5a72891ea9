# `make demo`: every table of the paper on a small world. `make help` lists the rest.
# Needs Python 3.11 or newer with pip; everything is installed into .venv and .boot here (caches: your home).
SHELL := /bin/bash
PYTHON ?= python3
CORES ?= all

BIN := .venv/bin
UV := .boot/bin/uv
LOCK := $(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)
STAMP := .venv/.lock-$(LOCK)
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup  # two workers, a thread each
BOUNDS := $(shell sed -nE 's/^ *"(transformers|diffusers|peft)>=([0-9.]+).*/\1==\2/p' pyproject.toml)
REPORT := results/demo/report.html

.DEFAULT_GOAL := help
.PHONY: help venv demo smoke test test-slow test-full test-bounds test-faults test-slurm tools lint lock unlock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

venv: $(STAMP)  ## .venv with the locked packages

demo: venv  ## every table and figure from the shipped tiny model, and a report to look at
	@$(BIN)/madi config check config/demo.yaml
	@$(BIN)/python -m madi.watch $(SNAKEMAKE) --configfile config/demo.yaml
	@$(BIN)/madi tables summary --config results/demo/tables/config.json --scores-folder results/demo/scores
	@echo "report: $(REPORT)"

smoke: venv  ## the same workflow, as small as it goes
	@$(BIN)/madi config check config/smoke.yaml
	@$(BIN)/python -m madi.watch $(SNAKEMAKE) --configfile config/smoke.yaml

test: venv  ## all tests but the slow ones
	$(PYTEST) -m "not slow and not faults and not slurm and not full"

test-slow: venv  ## the slow tests
	$(PYTEST) -m "slow and not faults and not slurm and not full"

test-full: venv  ## OmniGen at its published size: memory and silence, figures to results/bench (20 GB of disk, half an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 0 -s -m full tests/full

test-bounds: venv  ## the model's tests under the lowest transformers, diffusers and peft that pyproject.toml declares
	$(UV) venv --quiet --allow-existing --python $(BIN)/python build/bounds
	$(UV) pip install --quiet --python build/bounds/bin/python $(BOUNDS) -e '.[dev]'
	OMP_NUM_THREADS=1 build/bounds/bin/python -m pytest -n 0 -m "not slow and not full" tests/omnigen tests/model \
	  tests/test_export.py tests/edit/test_edit_sizes.py

test-faults: venv  ## trainings killed by the dozen at random moments, all to the same bits
	$(PYTEST) -m faults

test-slurm: venv  ## the workflow through a SLURM of its own, from Debian's packages
	@export PATH="$$PATH:/usr/sbin:/sbin"; \
	has() { for daemon in munged slurmctld slurmd; do [ -x "$$(command -v $$daemon)" ] || return 1; done; }; \
	if ! has && [ "$$(id -u)" = 0 ] && [ -x "$$(command -v apt-get)" ]; then \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge > /dev/null; fi; \
	if has; then OMP_NUM_THREADS=1 timeout -k 10 3000 $(BIN)/python -m pytest -m slurm tests/slurm; \
	else echo "skipped: no SLURM here, and installing it takes root and apt-get; nothing was tested through one"; fi

tools:  ## what the tests of the report and of LaTeX need besides: chromium and a small TeX, from Debian's packages
	@if [ -x "$$(command -v chromium)" ] && [ -x "$$(command -v pdflatex)" ]; then echo "chromium and pdflatex are there"; \
	elif [ "$$(id -u)" = 0 ] && [ -x "$$(command -v apt-get)" ]; then \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium texlive-latex-base texlive-latex-recommended \
	    > /dev/null || echo "not installed: the tests that need them are skipped"; \
	else echo "chromium or pdflatex is missing and cannot be installed here: the tests that need it are skipped"; fi

lint: venv  ## style of Python and rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile workflow
	for config in demo smoke; do $(BIN)/snakemake --lint --configfile config/$$config.yaml || exit 1; done

lock: $(UV)  ## compile requirements.lock and environment.yml anew (delete the lock first to take the newest of all)
	$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --constraint constraints.txt \
	  --generate-hashes --no-annotate --custom-compile-command "make lock" --quiet --output-file requirements.lock
	$(PYTHON) workflow/environment.py > environment.yml

unlock: venv  ## after a workflow was killed: let the next one start
	$(BIN)/snakemake --unlock

clean:  ## remove results of the demo and smoke scales
	rm -rf results/demo results/smoke

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "madi needs Python 3.11 or newer: make PYTHON=python3.12")'
	@echo "making .venv: a minute or two, once"
	@$(PYTHON) -m pip install --quiet --root-user-action=ignore --upgrade --target .boot "uv>=0.8,<1"

$(STAMP):
	@test -x $(UV) || $(MAKE) --no-print-directory $(UV)
	@test -x $(BIN)/python || $(UV) venv --quiet --python "$$(command -v $(PYTHON))" .venv
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@rm -f .venv/.lock-*; touch $@
