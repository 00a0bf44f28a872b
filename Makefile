# Everything here works from a clean clone with Python 3.10+ and make. CI calls the same targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

.PHONY: demo test lint types tests backends test-backends stack sizing test-frameworks test-oldest test-newest faults soak fidelity langsmith-diff bench format docs dashboards dashboards-proof lock clean

# The environment of a user: locked run-time dependencies, and this checkout.
$(VENV)/run.stamp: requirements/run.txt pyproject.toml tools/link_checkout.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements/run.txt
	# A path file instead of an editable install: needs no build tool, so the demo installs only what a user gets.
	$(BIN)/python tools/link_checkout.py
	touch $@

# The environment of a developer: the above and the tools.
$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	$(PIP) -r requirements/dev.txt
	touch $@

demo: $(VENV)/run.stamp
	$(BIN)/python -m tracer demo $(if $(LIVE),--live)

test: lint types tests

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp
	$(BIN)/pyright

# RERUNS=1, as CI does it: a test that fails is tried once more, and what failed at first is printed at the end (decision 60).
RERUN_FLAGS = $(if $(RERUNS),--reruns $(RERUNS) -raR)

tests: $(VENV)/dev.stamp
	$(BIN)/python -m pytest --ignore=tests/backends $(RERUN_FLAGS)

# The real collector, Jaeger, Tempo and Prometheus, built once into a cache folder outside of the checkout; says what it could not build.
MINUTES ?= 60
backends: $(VENV)/dev.stamp
	$(BIN)/python -m tools.backends.build --minutes $(MINUTES)
	# Phoenix comes from PyPI, by uv; where that cannot be, its tests say so.
	-$(BIN)/python -m tools.backends.phoenix

test-backends: backends
	$(BIN)/python -m pytest tests/backends $(RERUN_FLAGS)

# The backends (what `make backends` has built, or compose.yaml where Docker is) with a demo's traffic, until Ctrl-C.
# ARGS="--seconds 600 --pace 1" and others: python -m tools.stack --help
stack: $(VENV)/dev.stamp
	$(BIN)/python -m tools.stack $(ARGS)

# What a span costs in the library, the collector and the backends: the figures of docs/sizing.md.
sizing: $(VENV)/dev.stamp
	$(BIN)/python -m tools.stack.sizing $(ARGS)

# Every fault of a backend, crossed with ways a process ends; some minutes. Writes the table, and fails when a promise is not kept.
faults: $(VENV)/dev.stamp
	$(BIN)/python -m tests.processes.fault_matrix docs/reliability.md

# Minutes at a constant rate, with the backend healthy and away: memory stays flat. Writes its section of the same page. MINUTES=5.
soak: MINUTES = 5
soak: $(VENV)/dev.stamp
	$(BIN)/python -m tests.processes.soak docs/reliability.md --minutes $(MINUTES)

# The tests that need logfire or openai as the frameworks pin it, in the environment of the difference table's last column. Needs uv.
test-frameworks: $(VENV)/dev.stamp
	$(BIN)/python -m tools.fidelity.environments --run frameworks -m pytest tests/integration/test_host_logfire.py tests/integration/test_clone.py

# The tests with the oldest and the newest versions of everything that a user may have; writes the table of docs/versions.md. Needs uv.
# Another Python by `make test-newest VERSION=3.12`; none is downloaded.
test-oldest: VERSION ?= 3.10
test-newest: VERSION ?= 3.13
test-oldest test-newest: test-%: $(VENV)/dev.stamp
	$(BIN)/python -m tools.versions $* $(VERSION)

# docs/fidelity.md. Needs uv; the environments are made once, in a cache folder outside of the checkout.
fidelity: $(VENV)/dev.stamp
	$(BIN)/python -m tools.fidelity.make_page

# The quickstart under LangSmith's own tracer and under ours, and the fields in which their runs differ. All on loopback.
langsmith-diff: $(VENV)/dev.stamp
	$(BIN)/python -m tests.langsmith_diff

# Ends with status 1 when a target of benchmarks/targets.toml is missed. PEERS=1: other tracers beside ours.
bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks $(if $(PEERS),--peers)

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Pages that are made from the code; a test compares them.
docs: $(VENV)/dev.stamp
	$(BIN)/python tools/make_settings_page.py

# Dashboards, alerts and recording rules, from tools/dashboards. Needs Python 3.11; a test compares them.
dashboards: $(VENV)/dev.stamp
	$(BIN)/python -m tools.dashboards

# docs/dashboards.md: each query's value on the real engines. Needs what `make backends` builds.
dashboards-proof: dashboards
	WRITE_DASHBOARDS_PAGE=1 $(BIN)/python -m pytest tests/backends/test_dashboards.py

# Needs uv. No index address is written into the lock files.
lock:
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml --output-file requirements/run.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml --group dev --output-file requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml --group frameworks --output-file requirements/frameworks.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --no-emit-index-url requirements/phoenix.in --output-file requirements/phoenix.txt
	for name in fidelity-openai-1 fidelity-openai-2; do \
		uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml requirements/$$name.in --output-file requirements/$$name.txt || exit 1; \
	done
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml requirements/suites.in --extra anthropic --output-file requirements/suites.txt
	for name in oldest:lowest-direct newest:highest; do \
		uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --no-emit-index-url --all-extras --upgrade --resolution $${name#*:} pyproject.toml requirements/versions.in --output-file requirements/$${name%:*}.txt || exit 1; \
	done

clean:
	rm -rf $(VENV) .demo .bench dist build
