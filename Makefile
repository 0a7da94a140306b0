# make quickstart   the whole chain on scikit-learn's digits: search, train, attack, report
# make test         lint, types and tests, as CI runs them
# make docs         the site: docs/_build/html/index.html, without a warning
# All create .venv on the first call; a later call installs nothing unless the requirements changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: quickstart test types tests docs format clean

quickstart: $(VENV)/installed
	$(BIN)/rnas run quickstart

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --jobs 2 types tests

types: $(VENV)/installed-dev
	$(BIN)/mypy

# Each worker computes on one thread: more of them than cores slow each other down many times over.
# Tests of one file stay together as long as both workers have some: what they share is then made once.
# Every process that they start reads the package as it was compiled for the first of them.
tests: $(VENV)/installed-dev
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

# A warning is an error. The notebooks are run, once for each change of them.
docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "site: docs/_build/html/index.html"

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# torch goes first: whatever needs it later then finds it and fetches no other build.
$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) torch==2.13.0
	$(INSTALL) --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) --editable '.[dev]'
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(INSTALL) --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) runs docs/_build .mypy_cache .pytest_cache .ruff_cache
