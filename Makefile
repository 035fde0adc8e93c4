# Saltfish. `make` alone lists what there is.
#
# Every target first makes sure that .venv (or the crawler's own) is what the hash-pinned requirements say, which costs
# nothing when it is.

# What runs the bootstrap. It makes a new environment with the newest Python on the PATH that the locked requirements
# serve, or, where PYTHON is given, with that one.
PYTHON ?= $(or $(shell command -v python3 2>/dev/null),\
	$(shell command -v python3.14 2>/dev/null),$(shell command -v python3.13 2>/dev/null),\
	$(shell command -v python3.12 2>/dev/null),$(shell command -v python3.11 2>/dev/null),python3)
THIS_PYTHON := $(if $(filter file,$(origin PYTHON)),,--this-python)
VENV := .venv/bin/python
RUFF := $(VENV) -m ruff
# Processes that run tests at the same time: one more than cores, as each waits for engines, disks and other processes
# often; 0 runs them in this one, as a debugger needs it.
JOBS ?= 3
# What to pass on to the tool behind a target, like: make test ARGS="-k refund -x"
ARGS ?=

# Images of containers often set it. Then every Python process would compile all of its modules again: the tests start
# some hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-quick check storm mutants attack lint format list-migrations types diagrams diagrams-check openapi openapi-check clients \
	bench-http bench-orders bench-sweeper bench-crawl bench-prices bench-search bench-review bench-moderation \
	search-rebuild cli backup restore crawl shell engines lock clean reset-data environment environment-dev environment-crawler

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: environment ## Start everything: engines, demo market, web, workers, sandbox gateway (PORT=, HOST=, WORKERS= …)
	@$(VENV) -m supervisor run

test: environment-dev ## Run the tests; those that need engines start some of their own (ARGS="-k refund", JOBS=0)
	@$(VENV) -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

test-quick: environment-dev ## Run the heart of every domain, three minutes at most (the list: tests/quick.txt)
	@$(VENV) -m pytest -n $(JOBS) --dist loadgroup -q @tests/quick.txt $(ARGS)

check: environment-dev ## All that CI runs: lint, generated clients (need npm), every test (some need Chromium), coverage floors, a short storm, ten mutants
	# Clients wait for npm, and lint for nobody: together they take as long as the longer one.
	$(MAKE) --no-print-directory --jobs=2 lint clients
	$(MAKE) --no-print-directory test ARGS="-q --durations=15 --cov --cov-report="
	# Processes killed under load; the walk over the model is among the tests.
	$(MAKE) --no-print-directory storm ARGS="--minutes 2 --steps 0"
	# Ten of the faults that tests must notice, with each commit others.
	$(MAKE) --no-print-directory mutants ARGS="--sample 10"
	# Every branch of the state machine; nine tenths of the application.
	$(VENV) -m coverage report --include='statemachine/*' --fail-under=100 --skip-covered
	$(VENV) -m coverage report --include='app/*' --fail-under=90 --skip-covered

storm: environment-dev ## Load on everything while processes are killed, then a long walk beside the model (ARGS="--minutes 9")
	@$(VENV) -m tests.storm $(ARGS)

mutants: environment-dev ## Put faults into a copy of the tree, one at a time: tests must notice (ARGS="--sample 10", "--file wallet")
	@$(VENV) -m tests.mutants $(ARGS)

lint: environment-dev diagrams-check openapi-check ## Check style, types, imports, floats near money, landed migrations, diagrams, docs/openapi.json
	$(RUFF) check .
	$(RUFF) format --check .
	$(VENV) -m mypy
	$(VENV) -m tools.no_floats
	$(VENV) -m tools.landed_migrations
	$(VENV) -m tools.wheels
	PYTHONPATH=crawler .venv/bin/lint-imports

format: environment-dev ## Put the code into its form and fix what can be fixed safely
	$(RUFF) check --fix .
	$(RUFF) format .

list-migrations: environment ## List the hash of a new migration that is finished: from then on it is never edited
	$(VENV) -m tools.landed_migrations --add

types: environment-dev ## Check types only
	$(VENV) -m mypy

diagrams: environment ## Draw the state machines again, into docs/states
	$(VENV) -m statemachine diagram --all docs/states

diagrams-check: environment
	$(VENV) -m statemachine diagram --all --check docs/states

openapi: environment ## Write the OpenAPI document again, into docs/openapi.json
	$(VENV) -m tools.openapi docs/openapi.json

openapi-check: environment
	$(VENV) -m tools.openapi --check docs/openapi.json

clients: environment-dev openapi-check ## Generate clients from docs/openapi.json, in Python and TypeScript, into build/clients (needs npm)
	$(VENV) -m tests.clients

attack: environment-dev ## Try what strangers may send, on this machine only, and watch what others notice (ARGS="--only json")
	@$(VENV) -m supervisor with-engines -- $(VENV) -m tests.attack $(ARGS)

bench-http: environment ## Measure requests/s, latencies and SQL statements beside a bare Flask
	$(VENV) -m supervisor with-engines -- $(VENV) -m benchmarks.http $(ARGS)

bench-orders: environment ## Measure whole orders, from purchase to accepted return, beside the same SQL without us
	$(VENV) -m supervisor with-engines -- $(VENV) -m benchmarks.orders $(ARGS)

bench-sweeper: environment ## Measure how many due orders the sweep of deadlines fires in a second
	$(VENV) -m supervisor with-engines -- $(VENV) -m benchmarks.sweeper $(ARGS)

bench-crawl: environment-dev ## Measure what a listing costs the crawler beside a bare spider, and its politeness
	$(VENV) -m benchmarks.crawl $(ARGS)

bench-prices: environment-dev ## Measure how fast and how near reference prices are among 200,000 listings
	$(VENV) -m supervisor with-engines -- $(VENV) -m benchmarks.prices $(ARGS)

bench-search: environment-dev ## Measure both search engines beside three others: relevance, speed, size (ARGS="--goods 20000")
	$(VENV) -m supervisor with-engines -- $(VENV) -m benchmarks.search $(ARGS)

bench-review: environment-dev ## Measure in Chromium when the next good is there after a reviewer's decision, 200 waiting
	$(VENV) -m pytest -q -s tests/office/bench_next_good.py $(ARGS)

bench-moderation: environment-dev ## Measure the checks: of labelled pictures, then 500 in a worker; of texts beside one pass over them
	$(VENV) -m supervisor with-engines -- $(VENV) -m benchmarks.moderation_pictures $(ARGS)
	$(VENV) -m supervisor with-engines -- $(VENV) -m benchmarks.moderation_texts

search-rebuild: environment ## Write the search index again from the database, beside a running market or without
	$(VENV) -m supervisor exec -- $(VENV) -m flask --app wsgi search rebuild

cli: environment ## A command of the application, beside a running market or without (ARGS="ledger audit")
	@$(VENV) -m supervisor exec -- $(VENV) -m flask --app wsgi $(ARGS)

backup: environment ## Write a backup, beside a running market or without (FOLDER=/backups/today)
	@$(VENV) -m supervisor exec -- $(VENV) -m flask --app wsgi backup "$(FOLDER)"

restore: environment ## Restore a backup into an empty market that does not run (FOLDER=…, ARGS=--yes-overwrite)
	@$(VENV) -m supervisor exec-unprepared -- $(VENV) -m flask --app wsgi restore "$(FOLDER)" $(ARGS)

crawl: environment-crawler ## The crawler, in an environment of its own (ARGS="run xianyu_file saved.har", ARGS=-h)
	@crawler/.venv/bin/python -m crawler $(ARGS)

shell: environment ## A Python shell inside the application, beside a running market or without
	@$(VENV) -m supervisor exec -- $(VENV) -m flask --app wsgi shell

engines: environment ## Only PostgreSQL and Valkey, with the lines that tell another shell where they are
	@$(VENV) -m supervisor engines

lock: environment-dev ## Pin all requirements again, with hashes, from setup.cfg (ARGS=--upgrade for newer versions)
	.venv/tools/bin/uv pip compile setup.cfg --generate-hashes --no-header --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --extra embedded --extra vision $(ARGS) --output-file requirements.txt
	.venv/tools/bin/uv pip compile setup.cfg --generate-hashes --no-header --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --extra embedded --extra vision --extra dev $(ARGS) --output-file requirements-dev.txt
	.venv/tools/bin/uv pip compile crawler/requirements.in --generate-hashes --no-header --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --constraint requirements-dev.txt --no-annotate $(ARGS) \
		--output-file crawler/requirements.txt
	grep -oE '^uv==[0-9.]+' requirements-bootstrap.txt | .venv/tools/bin/uv pip compile - --generate-hashes --no-header \
		--universal --python-version 3.11 --no-emit-index-url --no-annotate --output-file requirements-bootstrap.txt
	@mkdir -p build
	.venv/tools/bin/uv pip compile requirements-dev.txt --quiet --format pylock.toml --universal --python-version 3.11 \
		--output-file build/pylock.dev.toml
	.venv/tools/bin/uv pip compile crawler/requirements.txt --quiet --format pylock.toml --universal --python-version 3.11 \
		--output-file build/pylock.crawler.toml
	$(VENV) -m tools.wheels --record build/pylock.dev.toml build/pylock.crawler.toml

clean: ## Remove what can be made again: caches, reports, environments (not the data in instance/)
	rm -rf .venv crawler/.venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov \
		build *.egg-info
	find . -name __pycache__ -type d -not -path './instance/*' -prune -exec rm -rf {} +

reset-data: environment ## Delete the demo market's data: database, queues, pictures, search index, keys
	@$(VENV) -m supervisor reset-data

environment:
	@command -v $(PYTHON) >/dev/null || { echo "saltfish: there is no $(PYTHON): install Python 3.11 to 3.14"; exit 1; }
	@$(PYTHON) supervisor/bootstrap.py run $(THIS_PYTHON)

environment-dev:
	@command -v $(PYTHON) >/dev/null || { echo "saltfish: there is no $(PYTHON): install Python 3.11 to 3.14"; exit 1; }
	@$(PYTHON) supervisor/bootstrap.py dev $(THIS_PYTHON)

environment-crawler:
	@command -v $(PYTHON) >/dev/null || { echo "saltfish: there is no $(PYTHON): install Python 3.11 to 3.14"; exit 1; }
	@$(PYTHON) supervisor/bootstrap.py crawler $(THIS_PYTHON)
