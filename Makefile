# The front door. `make run` on a fresh machine needs python3 (3.11 or newer) and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links

.PHONY: run demo install dev check test test-compose coverage conformance bench bench-loadmgr messages lock secrets clean

run: install ## everything in one process: OCPP on 19520, REST on http://localhost:8080
	@$(BIN)/parkade up

demo: install ## the same with a simulated garage
	@$(BIN)/parkade demo

install: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements.lock -r deploy/requirements-build.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

dev: $(VENV)/.installed-dev

$(VENV)/.installed-dev: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(VENV)/.installed $@

check: dev ## format, lint, types, import rules, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m shared.contracts.catalogue --check

test: dev ## everything but the container test; needs rabbitmq-server, postgresql, haproxy and node
	tests/install-servers
	tests/run $(BIN)/pytest

test-compose: dev ## the container deployment with a real Docker engine (as root)
	tests/compose/install
	$(BIN)/pytest -m compose tests/compose

coverage: dev
	$(BIN)/coverage run -m pytest -m "not compose"
	$(BIN)/coverage report

conformance: dev ## the OCA's cases for central systems; writes docs/conformance.md
	$(BIN)/python -m tests.conformance

bench: dev ## measures and writes docs/benchmarks.md; a part alone: make bench ARGS="--only soak"
	$(BIN)/python -m tests.bench $(ARGS)

bench-loadmgr: dev ## measures load management, writes docs/benchmarks-loadmgr.md; ARGS="--only decision"
	$(BIN)/python -m tests.bench.loadmgr $(ARGS)

messages: dev ## regenerates docs/messages.md
	$(BIN)/python -m shared.contracts.catalogue

lock: ## renews the locked dependencies (needs uv)
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) --group dev pyproject.toml -o requirements-dev.lock
	echo "hatchling>=1.27" | $(LOCK) - -o deploy/requirements-build.lock

secrets: ## random secrets for docker compose
	deploy/make-secrets

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
