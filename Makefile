# make demo       find the retrieval heads of the bundled model, silence them, and write a page of it
# make test       run the tests, in four to five minutes on two cores; the slow ones are left out
# make test-slow  run the slow tests
# make test-all   run all tests
# make lint       ruff and mypy
# make calibrate  simulate every p-value and interval and print their rates (some minutes on two cores)
# make docs       build the documentation, site/index.html, and look through it
# make bench      time detection against plain generation (about half an hour on two cores)
# Each target creates .venv when it is missing or older than the pinned versions.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt
DOCS_READY := $(VENV)/.docs-ready
# As many test processes as there are cores, but no more than memory holds (about 1 GB each).
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 8 --dist worksteal
# Nothing here asks a model hub for anything.
export HF_HUB_OFFLINE = 1
# Modules that were checked and compiled once are kept: 8 seconds less for each test process.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow test-all calibrate lint docs bench clean

demo: $(READY)
	$(BIN)/rh-lens demo-page
	@echo "Next: open rh_lens_demo/report.html. The commands above take --model for your own model;"
	@echo "README.md does the same in Python; '$(BIN)/rh-lens --help' lists the commands."

test: $(READY)
	$(PYTEST) -m "not slow"
	@echo "Next: 'make test-slow' runs the slow tests, 'make lint' the linters; both have to pass in CI."

test-slow: $(READY)
	$(PYTEST) -m slow

test-all: test test-slow

calibrate: $(READY)
	$(PYTEST) tests/calibration -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(DOCS_READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python tests/site_check.py site
	@echo "Next: open site/index.html; for its search: $(BIN)/python -m http.server --directory site"

bench: $(READY)
	$(BIN)/rh-lens bench

clean:
	rm -rf $(VENV) site

# torch goes first and alone: the pinned version, never a newer one that another package asks for.
$(READY): pyproject.toml constraints.txt
	@echo "Making the environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing torch (some 200 MB, a minute or more)"
	@$(PIP_INSTALL) torch
	@echo "Installing rh_lens and what it needs (a minute or more)"
	@$(PIP_INSTALL) --editable '.[dev]'
	@touch $@

$(DOCS_READY): $(READY)
	@echo "Installing what the documentation needs"
	@$(PIP_INSTALL) --editable '.[docs]'
	@touch $@
