# deployd: what is run from a checkout. `make` or `make help` lists it.

.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
ARGS ?=

.PHONY: help up test chaos check docs schema playground bench lock clean

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

up: .venv/run ## start deployd and deploy examples/shop; ARGS="-d" and others go to `deployd up`
	@$(BIN)/deployd up examples/shop $(ARGS)

test: .venv/dev ## run the tests; ARGS go to pytest
	@$(BIN)/pytest -n 3 --dist worksteal $(ARGS)

chaos: .venv/dev ## die at every await of every scenario: takes long
	@DEPLOYD_CHAOS=whole $(BIN)/pytest -n 3 --dist worksteal tests/chaos $(ARGS)

check: .venv/dev ## formatting, lint, types, imports, and that generated files are current
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m deployd.graphql.schema --check schema.graphql
	@$(BIN)/python tools/baseline.py --check
	@$(BIN)/python -m deployd.machines.diagram --check docs/states.md
	@$(BIN)/python -m deployd.manifest.jsonschema --check docs/deployd.schema.json
	@$(BIN)/python -m deployd.manifest.page --check docs/manifest.md
	@$(BIN)/python -m tools.reasons --check docs/reasons.md
	@$(BIN)/python -m deployd.cli.page --check docs/cli.md

docs: .venv/dev schema ## write the generated pages anew
	@$(BIN)/python -m deployd.machines.diagram > docs/states.md
	@$(BIN)/python -m deployd.manifest.jsonschema > docs/deployd.schema.json
	@$(BIN)/python -m deployd.manifest.page > docs/manifest.md
	@$(BIN)/python -m tools.reasons > docs/reasons.md
	@$(BIN)/python -m deployd.cli.page > docs/cli.md

schema: .venv/dev ## write schema.graphql anew
	@$(BIN)/python -m deployd.graphql.schema > schema.graphql
	@$(BIN)/python tools/baseline.py

playground: .venv/run ## fetch what /graphql shows in a browser, where setting up could not
	@$(BIN)/python tools/playground.py

bench: .venv/bench ## measure what the README claims; ARGS go to the benchmark
	@$(BIN)/python -m bench $(ARGS)

lock: ## resolve requirements/ anew; needs uv
	@tools/lock

clean: ## remove .venv and what tools have cached
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist tests/conformance/node_modules bench/peers/npm/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp says that .venv has what its lock file names; a second `make` runs no pip.
.venv/run .venv/dev .venv/bench: .venv/%: requirements/%.txt pyproject.toml tools/setup tools/playground.py
	@tools/setup $*
