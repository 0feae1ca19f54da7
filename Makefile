# `make demo`: the whole pipeline on made-up data.  `make test`: everything proven.
# `make up`: the real thing (`make up DEMO=1`: the same over the demonstration).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LOCK := deploy/requirements.lock

.PHONY: help demo up test slow check docs lock clean

help:
	@sed -n '1,2s/^# //p' Makefile

$(INSTALLED): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("actuals_pipeline needs Python 3.11 or newer; this is " + sys.version.split()[0] + ": set PYTHON=python3.12 or similar.")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(INSTALLED)
	@$(BIN)/actuals demo

up: $(INSTALLED)
ifdef DEMO
	@$(BIN)/actuals demo --keep
else
	@$(BIN)/actuals up
endif

# Three workers, on two cores too: they wait for Postgres and processes half of the time.
test: check
	$(BIN)/pytest -q -n 3 --dist worksteal

# What takes too long for every change; the counts of kills are told at the end.
slow: $(INSTALLED)
	$(BIN)/pytest -q -n 3 --dist worksteal -m slow -rP

check: $(INSTALLED)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

# The generated parts of README.md and docs/, and .env.example.
docs: $(INSTALLED)
	$(BIN)/python -m actuals_pipeline_tests.guards.generated_docs

# A new lock after a change of the dependencies in pyproject.toml; needs `uv` in PATH.
lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-strip-extras --no-emit-index-url --no-header --no-annotate --quiet -o $(LOCK)

clean:
	rm -rf $(VENV) build *.egg-info
