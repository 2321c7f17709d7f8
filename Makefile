# The two commands: make demo, make test. Both build one .venv.
PYTHON ?= python3
BIN = .venv/bin
READY = .venv/.ready
export SECOND_OPINION_DATA ?= $(wildcard $(abspath ../shared/data))

.PHONY: demo check test test-unit test-long chaos bench
$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $(READY)

demo: $(READY)
	$(BIN)/second-opinion demo $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: check
	$(BIN)/python -m tests.prepare
	$(BIN)/python -m pytest -n 3 --dist loadgroup -m 'not long' $(ARGS)

test-unit: $(READY)
	$(BIN)/python -m pytest -m 'not long and not postgres and not hapi and not orthanc and not browser and not chaos' $(ARGS)

test-long: $(READY)
	$(BIN)/python -m tests.prepare
	$(BIN)/python -m pytest $(ARGS)

chaos: $(READY)
	$(BIN)/python -m tests.chaos $(ARGS)

bench: $(READY)
	$(BIN)/python -m benchmarks $(ARGS)
