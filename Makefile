# Everything that is run here, by hand or by CI. It needs make, Python 3.11 or later with venv, and a package index; the rest
# comes into .venv. `make demo` is a first tour, `make test` runs the tests, `make` alone lists what there is.

# The first Python that is new enough; `make PYTHON=/opt/python3.13/bin/python3 test` takes another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

BIN := .venv/bin
PACKAGES := . $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
PROJECTS := $(addsuffix /pyproject.toml,$(PACKAGES)) Makefile
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test check format docs bench dist lowest clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: .venv/user  ## a first tour: list, resolve, fetch and read real spectra from a small archive on this machine
	@$(BIN)/python demo/tour.py

# Two at a time: the machine that this runs on in CI has two cores.
test: .venv/developer $(if $(CI),.venv/programs)  ## all tests, offline (options: make test PYTEST_ARGS="-k fetch -x")
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

check: .venv/developer  ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/developer  ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/developer  ## the documentation, in docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: .venv/developer  ## every benchmark, with a table for docs/explanation/peers.md
	$(INSTALL) -e '.[bench]'
	$(BIN)/python -m benchmarks

dist: .venv/developer  ## wheels and sdists of the core and the plugins, in dist/
	rm -rf dist
	for package in $(PACKAGES); do $(BIN)/python -m build --quiet --outdir dist $$package; done
	$(BIN)/twine check --strict dist/*

lowest:  ## the tour, and an error, with the lowest versions that pyproject.toml allows, in .lowest/
	rm -rf .lowest
	$(PYTHON) -m venv .lowest
	$(PYTHON) -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print("\n".join(project["dependencies"]).replace(">=", "=="))' > .lowest/constraints.txt
	.lowest/bin/python -m pip install -qq --disable-pip-version-check -c .lowest/constraints.txt $(addprefix -e ,$(PACKAGES))
	.lowest/bin/python demo/tour.py
	.lowest/bin/astra-registry show apVist 2>&1 | grep "did you mean"

clean:  ## remove what make made
	rm -rf .venv .lowest .demo dist docs/_build docs/reference/generated .coverage* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# Programs that some tests need, where CI may install them. Elsewhere those tests say that they are left out.
.venv/programs: | .venv/made
	@for program in chromium rsync; do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	test -z "$$missing" || { apt-get update -qq && apt-get install -y -qq $$missing >/dev/null; } || echo "could not install$$missing"
	@touch $@

# What a user has: the core and the bundled plugins. What a developer has: the extras, the tools and the documentation's too.
.venv/user: $(PROJECTS) | .venv/made
	@echo "Installing astra-registry and its plugins into .venv"
	@$(INSTALL) $(addprefix -e ,$(PACKAGES))
	@touch $@

.venv/developer: $(PROJECTS) | .venv/made
	@echo "Installing astra-registry, its plugins and what its developers need into .venv"
	@$(INSTALL) -e '.[dev,docs]' $(addprefix -e ,$(filter-out .,$(PACKAGES)))
	@touch $@ .venv/user

.venv/made:
	@test -n "$(PYTHON)" || { echo "astra-registry needs Python 3.11 or later with its venv module" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@
