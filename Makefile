# The commands of this repository. `make` alone lists them; everything else about them is in CONTRIBUTING.md.
SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
SOURCES := src tests bench scripts
TESTS ?= tests
JOBS ?= 2
ARGS ?=

.PHONY: help up install check format-check lint types imports scripts-check fast-tests driver test bench format lock fresh clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

up: ## Install what is missing, then run the product (Ctrl-C stops it)
	@scripts/install runtime
	@exec $(BIN)/hyperinfer up $(ARGS)

install: ## Install the product and the tools of development into .venv
	@scripts/install dev

check: install format-check lint types imports fast-tests ## What to run before a commit (under two minutes)

format-check:
	$(BIN)/ruff format --check $(SOURCES)

lint: scripts-check
	$(BIN)/ruff check $(SOURCES)

scripts-check: # The syntax of every shell and JavaScript file, by the Node that ships with the product
	$(BIN)/python scripts/check_syntax.py

types:
	$(BIN)/mypy

imports:
	@$(BIN)/lint-imports --config pyproject.toml

fast-tests:
	$(BIN)/pytest tests/unit tests/property -m "not slow" -q -n $(JOBS) --dist loadfile $(ARGS)

# Ahead of the tests, so that no test's deadline pays for a download.
driver: install
	@$(BIN)/hyperinfer driver install
	@$(BIN)/python -m tests.contract.node_clients.packages

# So many files at a time: most tests wait most of the time.
test: driver ## Run every test this machine can run (JOBS=2 at a time); says at the end which it skipped and why
	$(BIN)/pytest $(TESTS) -n $(JOBS) --dist loadfile $(ARGS)

bench: install ## Run every benchmark, one after the other
	@for bench in $$(find bench -name '__main__.py' | sort); do \
		module=$$(dirname "$$bench" | tr / .); echo "== $$module"; $(BIN)/python -m "$$module" || exit 1; done

format: install ## Format the sources and mend what the linter can mend
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

lock: install ## Write the lock files anew from pyproject.toml (UPGRADE=1 takes newer versions)
	@scripts/lock

fresh: ## Clone HEAD to a temporary folder and run the product there as a newcomer would, until it answers
	@python3 scripts/fresh.py $(ARGS)

clean: ## Remove .venv and every cache; keeps data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find src tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} +
