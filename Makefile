# The two commands: make demo, make test. Both build one .venv.
PYTHON ?= python3
BIN = .venv/bin
READY = .venv/.ready
# what Python and pytest compiled is kept: to do it anew for each process takes longer than many a test
export PYTHONDONTWRITEBYTECODE =
export SECOND_OPINION_DATA ?= $(wildcard $(abspath ../shared/data))

.PHONY: demo check types lock test test-unit test-long chaos bench
PIP = $(BIN)/pip --quiet --disable-pip-version-check
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

# editable_mode=compat: without it setuptools warns a newcomer of folders that are where they belong
$(READY): pyproject.toml requirements-test.lock
	$(PYTHON) -m venv .venv
	$(PIP) install --require-hashes -r requirements-test.lock
	$(PIP) install --no-deps --config-settings editable_mode=compat -e .
	touch $(READY)

# What is installed, with hashes: after a change of pyproject.toml, and to take newer versions (make lock UPGRADE=--upgrade)
lock: $(BIN)/uv
	$(COMPILE) $(UPGRADE) --extra tracing pyproject.toml -o requirements.lock
	$(COMPILE) $(UPGRADE) --extra test --extra tracing -c requirements.lock pyproject.toml -o requirements-test.lock

$(BIN)/uv:
	test -d .venv || $(PYTHON) -m venv .venv
	$(PIP) install 'uv>=0.9,<1'

demo: $(READY)
	$(BIN)/second-opinion demo $(ARGS)

check: types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

test: check
	$(BIN)/python -m tests.prepare
	$(BIN)/python -m pytest -n 3 --dist loadgroup -m 'not long' $(ARGS)

test-unit: $(READY)
	$(BIN)/python -m pytest -m 'not long and not postgres and not hapi and not orthanc and not browser and not chaos' $(ARGS)

test-long: $(READY)
	$(BIN)/python -m tests.prepare
	PICTURES=yes $(BIN)/python -m pytest $(ARGS)

chaos: $(READY)
	$(BIN)/python -m tests.chaos $(ARGS)

bench: $(READY)
	$(BIN)/python -m benchmarks $(ARGS)
