# Every target sets itself up: .venv is made from the hashed lock at the first call.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= auto
DAYS ?= 1000
SEED ?= 0
PAIRS ?= 0
SECONDS_OF_FUZZ ?= 60

.PHONY: demo test test-slow bench lab lint lock clean conformance-paper soak fuzz simulate parity mutate

demo: $(READY) ## trade a simulated quarter and build its archive
	$(BIN)/livekit demo

lab: $(READY) ## JupyterLab on the notebooks, against the simulated venue
	$(BIN)/livekit lab

test: $(READY) ## lint, types and the main suite
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n $(JOBS) --dist worksteal

test-slow: $(READY) ## the long tests
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m slow

bench: $(READY) ## measured comparisons, printed
	$(BIN)/pytest -m bench -s tests/benchmarks

conformance-paper: $(READY) ## the venue's contract against a real paper account; needs its keys
	$(BIN)/pytest tests/conformance --paper -v

soak: $(READY) ## a million requests with faults against the simulated venue
	LIVEKIT_SOAK=1000000 $(BIN)/pytest -m slow -s tests/benchmarks/test_venue_soak.py

fuzz: $(READY) ## search for input that breaks the report parsers; SECONDS_OF_FUZZ=60
	PYTHONPATH=. $(BIN)/python tests/fuzz/fuzz_reports.py -max_total_time=$(SECONDS_OF_FUZZ)

simulate: $(READY) ## seeded random days, then all pairs of crashes; DAYS=10000 SEED=0 PAIRS=500
	$(BIN)/livekit simulate --days $(DAYS) --seed $(SEED)
	$(BIN)/livekit simulate --pairs $(PAIRS) --seed $(SEED)

parity: $(READY) ## the live path against the backtest, 2014 to 2021; takes long
	$(BIN)/pytest -m parity -s tests/comparison

mutate: $(READY) ## mutation testing of the order path; takes long
	$(BIN)/mutmut run

lint: $(READY) ## rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(READY) ## resolve the dependencies anew, with hashes and without an index address
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --upgrade -o requirements.lock

clean: ## remove the environment; the profiles in outputs/ stay
	rm -rf $(VENV)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11 to 3.13 is needed, e.g. make PYTHON=python3.12 " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m livekit.backtest.warm_up
	touch $(READY)
