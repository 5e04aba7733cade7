# make demo   find the retrieval heads of the bundled model
# make test   run the tests              make lint   ruff and mypy
# make bench  time detection against plain generation (about half an hour on two cores)
# Each target creates .venv when it is missing or older than the pinned versions.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Nothing here asks a model hub for anything.
export HF_HUB_OFFLINE = 1

.PHONY: demo test lint bench clean

demo: $(READY)
	$(BIN)/rh-lens detect

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/rh-lens bench

clean:
	rm -rf $(VENV)

# torch goes first and alone: the pinned version, never a newer one that another package asks for.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --constraint constraints.txt torch
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	touch $@
