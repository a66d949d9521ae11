# Needs Python 3.11 or newer and make; everything else is installed into .venv from the locked, hashed lists in locks/.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Every CPython from 3.11 up on this machine, as "3.13=/path/to/python".
PYTHONS = $(shell $(PYTHON) tests/pythons.py | tr ' ' '=')
NEWEST = $(lastword $(PYTHONS))

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-newest soak rehearsal check bench test-microsoft pictures causes translations wheel lock changelog clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/.demo  ## Set everything up and start the demo in this terminal
	@$(BIN)/kiosk demo

test: $(VENV)/.dev  ## Set everything up and run all tests
	@$(BIN)/python -m pytest

test-all:  ## Run all tests on every CPython from 3.11 up that is installed
	@for each in $(PYTHONS); do \
	    echo "CPython $${each%%=*}"; \
	    $(MAKE) --no-print-directory test PYTHON="$${each#*=}" VENV=".venv-$${each%%=*}" || exit 1; \
	done

test-newest:  ## Run the quick tests on the newest CPython found, and print the coverage over all processes
	@echo "CPython $(firstword $(subst =, ,$(NEWEST)))"
	@$(MAKE) --no-print-directory .venv-coverage/.coverage PYTHON="$(lastword $(subst =, ,$(NEWEST)))" VENV=.venv-coverage
	@rm -rf build/coverage && mkdir -p build/coverage
	@status=0; .venv-coverage/bin/python -m pytest --quick || status=$$?; \
	    .venv-coverage/bin/python -m coverage combine --quiet && .venv-coverage/bin/python -m coverage report && exit $$status

soak: $(VENV)/.dev  ## Run the long proofs (residue, kills, all combinations), and write docs/soak.md
	@$(BIN)/python -m tests.soak

rehearsal: $(VENV)/.dev  ## Start a fleet on this machine, play its failures while people visit, and print what became of them
	@$(BIN)/python -m tests.fleet.rehearsal

check: $(VENV)/.dev  ## Lint, wording, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m docs.words
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 15

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

lock: $(VENV)/.dev  ## Resolve the dependencies again and write locks/
	@$(BIN)/python locks/make.py

changelog: $(VENV)/.dev  ## Move the fragments in changes/ into CHANGELOG.md: make changelog VERSION=0.2.0
	@$(BIN)/towncrier build --version "$(VERSION)"

clean:  ## Remove everything that was installed or built here
	rm -rf .venv .venv-* dist build

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

# Every Python that starts in this environment is measured, see the file that is copied.
$(VENV)/.coverage: tests/coverage_startup.py $(VENV)/.dev
	@site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
	    sed 's#@ROOT@#$(CURDIR)#' $< > "$$site/coverage_startup.py" && echo 'import coverage_startup' > "$$site/coverage_startup.pth"
	@touch $@
