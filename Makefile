# make demo and make test need Python 3.10 or newer, and nothing else: they set up .venv themselves.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= auto
export CUDA_VISIBLE_DEVICES ?= -1
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test lint bench clean

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

demo: .venv/.ready
	$(BIN)/python examples/digits.py

test: .venv/.ready
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
	TF_USE_LEGACY_KERAS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/keras mergeable/keras

lint: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/.ready
	$(BIN)/python benchmarks/updates.py

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
