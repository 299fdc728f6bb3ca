# stronglens: `make demo` runs the main job from nothing, `make test` the tests from nothing.
#
# Both make the environment in .venv first if it is missing or stale. Variables:
#   PYTHON       interpreter to build .venv with; the first python3 of at least 3.11 otherwise
#   TORCH_INDEX  package index to take torch from, where the default wheel brings CUDA without need

.DEFAULT_GOAL := help
.PHONY: help demo test check docs bench env FORCE

PYTHON      ?= $(firstword $(foreach name,python3 python3.11 python3.12 python3.13 python3.14,$(shell \
                 $(name) -c 'import sys; print("$(name)" if sys.version_info >= (3, 11) else "")' 2>/dev/null)))
TORCH_INDEX ?=
BIN   := .venv/bin
READY := .venv/ready
PIP   := $(BIN)/python -m pip --disable-pip-version-check install -qq -c constraints.txt
PAGE  := runs/demo/index.html
# pyright runs on node; playwright brings one for machines that have none
NODE   = $(wildcard .venv/lib/python3*/site-packages/playwright/driver)
# empty where the interpreter of .venv is gone or the checkout has moved: then it is built anew
SOUND := $(shell $(BIN)/python -c '' 2>/dev/null && grep -sF '$(CURDIR)/.venv' .venv/pyvenv.cfg)

help:
	@echo "make demo   simulate, train and test a finder; ends with a page to read ($(PAGE))"
	@echo "make test   every check and every test"
	@echo "make check  format, lint, types and layers only"
	@echo "make docs   documentation, in docs/_build/html"
	@echo "make bench  benchmark tables"

demo: $(READY)
	@if [ -f runs/demo/result.json ]; then echo "The demo has run already; remove runs/demo to run it again."; \
	  else $(BIN)/stronglens quickstart --out runs/demo; fi
	@echo "Open $(PAGE) in a browser."

test: check
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not gpu and not browser and not network and not ray"

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$$PATH:$(NODE)" $(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

bench: $(READY)
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

env: $(READY)

$(READY): pyproject.toml constraints.txt $(if $(SOUND),,FORCE)
	@test -n "$(SOUND)$(PYTHON)" || { echo "stronglens needs Python 3.11 or newer, and python3 is $$(python3 --version 2>&1)."; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -n "$(SOUND)" || { echo "Making the environment in .venv (some minutes) ..."; $(PYTHON) -m venv --clear .venv; }
	$(PIP) --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	@$(BIN)/python tests/architecture/environment.py
	$(PIP) -e ".[test]"
	@$(BIN)/python tests/architecture/environment.py
	@touch $(READY)
