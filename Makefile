# `make bench` and `make test` do everything on a fresh machine: they make .venv and install what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOLVER ?= geak
SUITE ?= suites/rocm
BENCH_OPTIONS ?= -n 2 --benchmark-disable
STAMP := $(VENV)/.installed
CLUSTER := tests/harness/test_cluster.py
QUICK := "block or tma or moe or flash or chained or sort or flip or randn or softmax or layernorm"

.PHONY: bench test lint types tests newest clean

bench: $(STAMP)
	$(BIN)/pytest $(SUITE) --solver=$(SOLVER) $(BENCH_OPTIONS) || test $$? -eq 1

test: lint types tests newest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

# Many tests wait for processes and servers: three at once are fastest on two cores. Ray's nodes need both for themselves.
tests: $(STAMP)
	$(BIN)/pytest tests -q -n 3 --dist=worksteal --durations=10 --ignore=$(CLUSTER)
	$(BIN)/pytest $(CLUSTER) -q

# On the newest Triton, which has dropped what 3.6 still has: the interpreter's tests, and references that use most of it.
newest: $(STAMP) $(VENV)/newest/triton
	PYTHONPATH=$(VENV)/newest $(BIN)/pytest tests/interpreter -q -n 3
	PYTHONPATH=$(VENV)/newest $(BIN)/pytest suites/rocm --solver=reference --run-dir=$(VENV)/run-newest-$$$$ -q -n 3 -k $(QUICK)

$(VENV)/newest/triton: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(VENV)/newest triton==3.9.0
	touch $@

# The accelerator build of PyTorch that fits the machine is the user's choice: install it into .venv first.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch setuptools
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-build-isolation --editable ".[dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) runs build *.egg-info
