# make run    a JupyterHub behind hubgate on http://127.0.0.1:8000 (TLS=1 for https, PORT=… for another port)
# make test   all tests (ARGS='-k tunnel' for some)
# make test-quick  tests that need neither whole proxies nor real seconds: to run while you work
# make check  what CI runs: format, lint, types, tests
# make certs  a development CA and a server certificate in certs/
# make jupyterhub-suite  JupyterHub's own tests, behind CHP and behind hubgate (ARGS=--help says more)
# make bench  compare hubgate with CHP, nginx, HAProxy and Caddy (make bench-deps installs them)
# make clean  remove everything created here except certs/

PYTHON   ?= python3
VENV     := .venv
BIN      := $(VENV)/bin
STAMP    := $(VENV)/.installed
PORT     ?= 8000
API_PORT ?= 8001
HUB_PORT ?= 8081
ARGS     ?=
# Tests spend a third of their time waiting: three at once keep two cores busy.
JOBS     ?= $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 2) * 3 // 2)")
# Folders whose tests run whole proxies, hubs and installations.
WHOLE    := browser contract hostile hub packaging replicated system

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run test test-quick check certs clean venv parts

run: $(STAMP)
	@$(BIN)/python dev/run.py --port $(PORT) --api-port $(API_PORT) --hub-port $(HUB_PORT) $(if $(filter-out 0 no off false,$(TLS)),--tls) $(ARGS)

test: $(STAMP) parts
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-quick: $(STAMP)
	$(BIN)/pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "not processes and not real_time" \
		$(WHOLE:%=--ignore=tests/%) $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory test

certs: $(STAMP)
	$(BIN)/proxyctl certs

clean:
	rm -rf $(VENV) state build dist *.egg-info proxy/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv: $(STAMP)

# A hub moves here from the real CHP in one test; without it, that test is skipped, or fails in CI.
parts:
	@scripts/system-parts chromium wrk systemd npm haproxy redis-server redis-sentinel iproute2
	@[ -e $(CHP) ] || $(MAKE) --no-print-directory $(CHP) || echo "parts missing: configurable-http-proxy; see above" >&2

# The stamp is older than pyproject.toml only when there is something to install.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is older than 3.11; choose another: make PYTHON=python3.12"; exit 1; }
	@rm -rf hubgate.egg-info  # of a checkout in which the package stood elsewhere: it would be found first
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

# Longer checks, each next to what it runs.
include $(wildcard tests/*/*.mk benchmarks/*.mk)
