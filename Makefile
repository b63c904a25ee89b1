# `make demo` and `make test` need Python 3.11 or later and nothing else; both set up what they use.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Tests wait for processes and databases about a third of the time.
WORKERS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 3 / 2 )))
RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready
SUPPLY := .venv-supply
SUPPLY_READY := $(SUPPLY)/.ready

.PHONY: help setup hooks demo test lint types imports unit fuzz laws faults docs e2e cards bench bench-quick size lock sbom audit clean
.DEFAULT_GOAL := help

help:  ## what there is to run
	@grep -E '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(RUN_READY): requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "celonis-chat needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@touch $@

$(DEV_READY): requirements/dev.txt $(RUN_READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

setup: $(DEV_READY)  ## a virtual environment with everything that developing needs

hooks: $(DEV_READY)  ## style, types and import contracts before each commit
	$(BIN)/pre-commit install

demo: $(RUN_READY)  ## a chat in the terminal against a sandbox, no account needed
	@$(BIN)/python -m adapters.cli demo

test: lint types imports unit  ## everything that must hold before a commit

lint: $(DEV_READY)  ## style, and code that nothing uses
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/vulture

types: $(DEV_READY)  ## static types, strict
	$(BIN)/mypy

imports: $(DEV_READY)  ## which module may know which
	$(BIN)/lint-imports

unit: $(DEV_READY)  ## the tests; COVERAGE=1 reports what they reach, and fails where that has fallen
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(if $(COVERAGE),--cov --cov-report=term:skip-covered)

fuzz: $(DEV_READY)  ## two minutes of what people may type, other texts each time; SEED=N types the same again, TEXTS=N so many
	$(BIN)/python -m tests.fuzz.typed $(if $(TEXTS),--texts $(TEXTS),--minutes 2) $(if $(SEED),--seed $(SEED))

laws: $(DEV_READY)  ## what holds for every sentence and catalog, with a hundred thousand examples each; EXAMPLES=N takes N
	LAWS_EXAMPLES=$(or $(EXAMPLES),100000) $(BIN)/pytest -n $(WORKERS) tests/language/test_laws.py

faults: $(DEV_READY)  ## every fault on Slack and Teams, for stopping and starting: calls that reached Celonis, and whether the message is true
	$(BIN)/python -m tests.writes.fault_matrix

docs: $(DEV_READY)  ## write what is generated: the table of commands, docs/commands.md, the tables of settings
	PYTHONPATH=. $(BIN)/python docs/generate.py
	PYTHONPATH=. $(BIN)/python docs/generate_settings.py

e2e: $(DEV_READY)  ## the bot in a page that is like Teams, clicked by a headless Chromium; skips without npm or Chromium
	@! command -v npm >/dev/null || npm ci --prefix tests/e2e --no-audit --no-fund --loglevel=error
	$(BIN)/pytest tests/e2e/playground.py

cards: $(DEV_READY)  ## every card as Slack, Teams and a terminal draw it: out/cards/index.html; skips without npm or Chromium
	@! command -v npm >/dev/null || npm ci --prefix tests/e2e --no-audit --no-fund --loglevel=error
	$(BIN)/pytest -rs tests/e2e/cards.py

bench: $(DEV_READY)  ## every bench at full length, over an hour; tables, and JSON in out/
	@mkdir -p out
	$(BIN)/python -m bench.quota --json out/quota.json
	$(BIN)/python -m bench.adapters --json > out/adapters.json
	$(BIN)/python -m bench.slow_sockets --json > out/slow-sockets.json
	$(BIN)/python -m bench.growth --json > out/growth.json
	$(BIN)/python -m bench.language --json > out/language.json
	$(BIN)/python -m bench.watch --json > out/watch.json
	$(BIN)/python -m bench.answers --json > out/answers.json

bench-quick: $(DEV_READY)  ## two minutes of the limits, with copies killed and the database restarted
	@mkdir -p out
	$(BIN)/python -m bench.quota --part 1 --minutes 0.6 --requests 3000 --json out/quota-quick.json

size: $(DEV_READY)  ## code lines of the bot, its adapters and the sandbox, and what is long
	$(BIN)/python -m bench.size

lock:  ## resolve the dependencies anew into the hashed lock files
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --group dev -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/dev.txt
	$(BIN)/uv pip compile --group build -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/build.txt
	$(BIN)/uv pip compile --group supply -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/supply.txt

$(SUPPLY_READY): requirements/supply.txt
	@test -x $(SUPPLY)/bin/python || $(PYTHON) -m venv $(SUPPLY)
	$(SUPPLY)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/supply.txt
	@touch $@

sbom: $(SUPPLY_READY)  ## what the bot is made of, as CycloneDX: out/sbom.json
	@mkdir -p out
	$(SUPPLY)/bin/cyclonedx-py requirements requirements/run.txt --pyproject pyproject.toml --output-reproducible --of JSON -o out/sbom.json

audit: $(SUPPLY_READY)  ## known vulnerabilities of what the bot is made of; fails too where something could not be looked up
	$(SUPPLY)/bin/pip-audit --strict --disable-pip --require-hashes -r requirements/run.txt -r requirements/build.txt || { echo "Not clean: a package above is vulnerable, or PyPI's vulnerability service could not be asked about it, and then nothing is known."; exit 1; }

clean:  ## remove what the targets above made
	rm -rf $(VENV) $(SUPPLY) .mypy_cache .ruff_cache .pytest_cache .hypothesis
