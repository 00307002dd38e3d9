# make demo and make test need Python 3.10 or newer, and nothing else: they set up .venv themselves.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= auto
FRAMEWORK_FREE := tests/encoding tests/exchange tests/laws tests/metric tests/metrics tests/numeric tests/snapshot tests/state tests/states \
	tests/test_coverage.py tests/test_errors.py tests/test_moved.py tests/test_register.py \
	mergeable/encoding mergeable/exchange mergeable/metric mergeable/metrics mergeable/numeric mergeable/snapshot mergeable/state mergeable/states \
	mergeable/coverage.py mergeable/registry.py
export CUDA_VISIBLE_DEVICES ?= -1
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-long lowest lint bench clean

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

.venv-lowest/.ready: pyproject.toml tests/lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --upgrade pip
	.venv-lowest/bin/python -m pip install --quiet --constraint tests/lowest.txt --editable '.[laws,sketches]' ml_dtypes pytest pytest-xdist scikit-learn
	touch $@

demo: .venv/.ready
	$(BIN)/python examples/digits.py

test: .venv/.ready
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope
	TF_USE_LEGACY_KERAS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope tests/keras mergeable/keras

# Every case, the bombs, and searches ten times as long and more.
test-long: .venv/.ready
	LONG=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope
	LONG=1 TF_USE_LEGACY_KERAS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope tests/keras mergeable/keras

# Without TensorFlow, on the lowest versions of everything else.
lowest: .venv-lowest/.ready
	EXAMPLES=20 .venv-lowest/bin/python -m pytest -n $(WORKERS) --dist worksteal $(FRAMEWORK_FREE)

lint: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/.ready
	$(BIN)/python -m pip install --quiet --editable '.[test,bench,peers]'
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/updates.py
	$(BIN)/python benchmarks/libraries.py
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/exchange.py
	$(BIN)/python benchmarks/exchange_peers.py
	$(BIN)/python benchmarks/snapshots.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/imports.py

clean:
	rm -rf .venv .venv-lowest .pytest_cache .mypy_cache .ruff_cache .hypothesis
