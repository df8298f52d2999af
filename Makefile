# Each target creates what it needs: in a bare clone, `make test` first creates .venv, with uv if it is installed and
# otherwise with the venv module and pip. Set PYTHON=... to choose the interpreter.

VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
PEERS := benchmarks/.venv
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	$$name -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo $$name && break; done)
NO_PYTHON = spark-cache needs Python 3.11 or newer. Install it, or set its path: make PYTHON=/path/to/python

ifdef UV
MAKE_VENV = uv venv --quiet --allow-existing --python '$(or $(PYTHON),>=3.11)' $(VENV)
INSTALL = uv pip install --quiet --python $(BIN)/python --editable
INSTALL_PEER = uv pip install --quiet --python $(PEERS)/bin/python --only-binary :all:
else
# The pip that ships with an interpreter may be too old to support dependency groups.
MAKE_VENV = $(or $(PYTHON),$(error $(NO_PYTHON))) -m venv $(VENV)
INSTALL = $(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' && $(BIN)/python -m pip install --quiet --editable
INSTALL_PEER = $(PEERS)/bin/python -m pip install --quiet --only-binary :all:
endif

.PHONY: help demo test check bench docs clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: $(VENV)/.stamp-demo  ## show the cache at work against a local stand-in provider
	$(BIN)/spark-cache demo

test: $(VENV)/.stamp-dev  ## run the tests and the examples in the documentation
	$(BIN)/python -m pytest -n 2

check: $(VENV)/.stamp-dev  ## check lint, formatting, types, import layers and documentation
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sphinx-build -q -n -W --keep-going docs docs/_build/html

bench: $(PEERS)/.stamp-peers  ## compare with other caches and write docs/explanation/benchmarks.md; add BENCH=--quick for a trial run
	$(PEERS)/bin/python -m benchmarks $(BENCH)

docs: $(VENV)/.stamp-dev  ## build the documentation into docs/_build/html
	$(BIN)/sphinx-build -n -W docs docs/_build/html

clean:  ## remove .venv and all build output
	rm -rf $(VENV) benchmarks/.venv build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find spark_cache tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp newer than pyproject.toml means that its packages are installed, so a second run installs nothing.

$(VENV)/.stamp-demo: pyproject.toml | $(BIN)/python
	$(INSTALL) '.[openai]'
	@touch $@

$(VENV)/.stamp-dev: pyproject.toml | $(BIN)/python
	$(INSTALL) '.[all]' --group dev
	@touch $@ $(VENV)/.stamp-demo

# The other caches have a separate environment. A cache that cannot be installed is not measured.
$(PEERS)/.stamp-peers: pyproject.toml
	$(MAKE) --no-print-directory VENV=$(PEERS) $(PEERS)/.stamp-demo
	for peer in diskcache dspy inspect-ai joblib langchain-community; do \
		$(INSTALL_PEER) $$peer || echo "$$peer cannot be installed, so it is not measured"; done
	@touch $@

$(BIN)/python:
	$(MAKE_VENV)
