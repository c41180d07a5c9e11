# make demo    see Quire work: a notebook, run from top to bottom on an offline model
# make lab     open that notebook in JupyterLab
# make check   everything that must hold, cheap parts first; CI runs exactly this
# make bench   measure against the peers
# make chaos   kill runs a thousand times, and see that nothing is lost or done twice
# make format  let ruff rewrite what it can
# make clean   remove everything that make made

VENV := .venv
BIN := $(VENV)/bin
NOTEBOOK := notebooks/01_first_pipeline.ipynb
PYTHONS ?= python3 python3.13 python3.12 python3.11

# Any of these may change what is installed, so they make the environment be brought up to date.
SOURCES := pyproject.toml hatch_build.py $(wildcard widgets/*.*) $(shell find widgets/src -type f 2>/dev/null)

# Twice quiet: errors only.
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
NODE_MODULES := widgets/node_modules/.package-lock.json

# Node.js from the machine if it is new enough, else the one that came into the environment as a wheel.
NODE_IS_NEW = node -e '[a, b] = process.versions.node.split("."); process.exit(a * 100 + +b < 2019)' 2>/dev/null
NPM = PATH="$$($(NODE_IS_NEW) && command -v npm >/dev/null || printf %s '$(CURDIR)/$(BIN):')$$PATH" npm --prefix widgets

.PHONY: demo lab check bench chaos format clean

demo: $(VENV)/.lab
	@$(BIN)/python notebooks/run.py $(NOTEBOOK)

lab: $(VENV)/.lab
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(NOTEBOOK)

check: $(VENV)/.test $(NODE_MODULES)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	@$(NPM) run typecheck
	@$(NPM) run test -- --run
	$(BIN)/pyright --project .
	$(BIN)/python -m pytest -q

bench: $(VENV)/.bench
	$(BIN)/python -m tests.benchmarks

chaos: $(VENV)/.test
	$(BIN)/python -m tests.chaos

format: $(VENV)/.test
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) widgets/node_modules widgets/quire_widgets/static dist build
	rm -rf .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find toolkit widgets tests notebooks -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.lab: $(BIN)/pip $(SOURCES)
	@echo 'Installing Quire and JupyterLab into $(VENV): a minute or two, the first time.'
	@$(PIP) --editable '.[lab]'
	@touch $@

$(VENV)/.test: $(BIN)/pip $(SOURCES)
	@echo 'Installing Quire and what checks it into $(VENV): some minutes, the first time.'
	@$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.lab

$(VENV)/.bench: $(BIN)/pip $(SOURCES)
	@$(PIP) --editable '.[bench]'
	@touch $@

$(NODE_MODULES): widgets/package-lock.json | $(VENV)/.test
	@$(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

# The first Python that can make an environment; failing that, the first new enough, after its venv package is
# installed (Debian and Ubuntu ship it apart). pip is the target because it is the last thing to arrive.
$(BIN)/pip:
	@for need in 'ensurepip, venv' sys; do \
	    for python in $(PYTHONS); do \
	        if "$$python" -c "import sys, $$need; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then break 2; fi; \
	        python=; \
	    done; \
	done; \
	if [ -z "$$python" ]; then \
	    echo 'Quire needs Python 3.11 or newer; none of these is: $(PYTHONS).' >&2; \
	    echo 'Install one, or name yours: make demo PYTHONS=/path/to/python' >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    if [ "$$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi; \
	    package="$$(basename "$$python")-venv"; \
	    echo "$$python cannot make environments yet: installing $$package."; \
	    { $$as_root apt-get update -qq && \
	      DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -y -qq "$$package" >/dev/null; } </dev/null || { \
	        echo "That did not work. Install it yourself (sudo apt-get install $$package), then try again." >&2; exit 1; \
	    }; \
	fi; \
	"$$python" -m venv $(VENV)
