# Needs Python 3.11 or newer and make; everything else is installed into .venv from the locked, hashed lists in locks/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test check bench test-microsoft pictures causes translations wheel lock clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/.demo  ## Set everything up and start the demo in this terminal
	@$(BIN)/kiosk demo

test: $(VENV)/.dev  ## Set everything up and run all tests
	@$(BIN)/python -m pytest

check: $(VENV)/.dev  ## Lint, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 12

bench: $(VENV)/.dev  ## Measure against a minimal app, side by side
	@$(BIN)/python -m benchmarks

test-microsoft: $(VENV)/.microsoft  ## Run Microsoft's own clients against the sandbox
	@$(BIN)/python -m pytest tests/microsoft

pictures: $(VENV)/.dev  ## Draw every screen from the running program, and write docs/screens.md
	@$(BIN)/python -m docs.pictures

causes: $(VENV)/.dev  ## Write docs/causes.md, the table of everything that can go wrong
	@$(BIN)/python -m docs.causes

translations: $(VENV)/.dev  ## Bring the catalogues in step with the code
	@$(BIN)/python -m translations

wheel: $(VENV)/.dev  ## Build the wheel into dist/
	@$(BIN)/python -m build --wheel --no-isolation

lock: $(VENV)/.dev  ## Resolve the dependencies anew and write locks/
	@$(BIN)/python locks/make.py

clean:  ## Remove everything that was installed or built here
	rm -rf $(VENV) dist build

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: locks/demo.txt pyproject.toml | $(BIN)/python
	@echo "Setting up (once) ..."
	@$(PIP) install --require-hashes -r locks/demo.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: locks/dev.txt $(VENV)/.demo
	@$(PIP) install --require-hashes -r locks/dev.txt
	@touch $@

$(VENV)/.microsoft: locks/microsoft.txt $(VENV)/.dev
	@$(PIP) install --require-hashes -r locks/microsoft.txt
	@touch $@
