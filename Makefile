# The only entry to this project: `make` tells what there is.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
#: What is checked, as far as it exists.
CODE = $(wildcard catalog_mirror service handlers sandbox tests benchmarks)
SCRIPTS := sandbox/install.sh sandbox/root.sh .ci/run

#: Runs a program beside Python that judges something; says what to install where there is none, and fails then in CI.
TOOL = $(BIN)/python -m sandbox.tools

.PHONY: help install parts console pictures demo test faults neighbours check style types floors advisories scripts image bases wheel chart asyncapi audit licences workflows docs instructions migration format bench profile fuzz soak lock clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: parts $(STAMP) console ## Build .venv from the locked requirements, with what tests need

# Sees to the programs beside Python (broker, database); quick when they are there.
parts:
	@sh sandbox/install.sh

# Made anew when a lock, the project's metadata or the interpreter changed; a .venv that failed half-way has no stamp.
# The lock is complete: pip has nothing to resolve, and an older one trips over extras when it tries.
$(STAMP): requirements-dev.txt requirements.txt pyproject.toml
	@rm -f $(STAMP)
	@python=$$(sh sandbox/install.sh --print-python) && \
	if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "Building $(VENV) with $$python"; rm -rf $(VENV); "$$python" -m venv $(VENV); \
	fi
	@echo "Installing the locked requirements (a minute or two the first time)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

# Other people's work that the console's pages load: quick when it is there; without npm, pages are not live.
console: $(STAMP)
	@$(BIN)/python service/http/console/parts.py || { [ -z "$$CI" ]; }

demo: install ## Tell the whole story against the sandbox, in a minute
	@$(BIN)/catalog-mirror demo

# Four workers, a file to each at a time: each has a broker and a database of its own, and much of the time is waiting.
# In the order of their names: by the number of their tests, the fault tests, few and long, would all come last.
WORKERS := -n 4 --dist loadfile --no-loadscope-reorder
# Some images tell Python to keep no bytecode. Then every worker, and each process that tests start, compiles all of this.
test faults: export PYTHONDONTWRITEBYTECODE =
test: install ## Run every test but the slow ones
	@$(BIN)/python -m pytest $(WORKERS) $(ARGS)

faults: install ## Run the fault tests alone and print what they counted, as docs/guarantees.md shows it
	@rm -f .faults.ndjson
	@$(BIN)/python -m pytest $(WORKERS) tests/faults --figures .faults.ndjson $(ARGS)
	@$(BIN)/python -m benchmarks.faults .faults.ndjson

# A worker for each core that a small machine has; the environments are kept in .neighbours, one for each lock.
neighbours: install ## Try real producers, receivers, brokers and databases, and print a table of them
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/neighbours $(ARGS)

pictures: install ## Take the pictures of the documents anew, of a running service
	@$(BIN)/python -m pytest -q tests/acceptance/test_console.py --pictures docs/images

check: install ## Judge style, types, floors, known advisories and scripts
	@$(MAKE) style
	@$(MAKE) types
	@$(MAKE) floors
	@$(MAKE) advisories
	@$(MAKE) audit
	@$(MAKE) licences
	@$(MAKE) scripts
	@$(MAKE) workflows
	@$(MAKE) image
	@$(MAKE) chart
	@$(MAKE) asyncapi
	@$(MAKE) instructions
	@echo "All checks passed."

style: $(STAMP) ## Judge style alone (ruff)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)

types: $(STAMP) ## Judge types alone (mypy, strict)
	@$(BIN)/mypy $(CODE)

floors: $(STAMP) ## Judge who imports whom (import-linter)
	@$(BIN)/lint-imports

# A finding fails. A vulnerability service that cannot be reached, or does not know the packages (an index that serves
# no advisories), says nothing about this code: that is said aloud and passes.
advisories: $(STAMP) ## Ask whether a locked requirement has a known vulnerability (pip-audit)
	@out=$$($(BIN)/pip-audit --progress-spinner off --disable-pip --require-hashes -r requirements-image.txt 2>&1); code=$$?; \
	locked=$$(grep -c '^[A-Za-z].*==' requirements-image.txt); \
	unknown=$$(printf '%s\n' "$$out" | grep -c 'could not be audited'); \
	if [ $$code -ne 0 ] && printf '%s' "$$out" | grep -Eq 'ConnectionError|ServiceError|Timeout|Max retries|HTTPError'; then \
		echo "Note: pip-audit was skipped, the vulnerability service cannot be reached from here."; \
	elif [ $$code -ne 0 ]; then printf '%s\n' "$$out" >&2; exit $$code; \
	elif [ $$unknown -gt 0 ]; then \
		echo "Note: pip-audit could not judge $$unknown of $$locked packages, no advisories are served for them here."; \
	else printf '%s\n' "$$out"; fi

# The sandbox plays remote systems, with secrets that it made up, for demo and tests only.
audit: $(STAMP) ## Look for what is unsafe in the code that runs (bandit)
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml service handlers && echo "bandit: nothing found"

# Whoever ships the image passes these packages on: none asks for the source of what links to it. All are permissive but
# certifi, a list of certificates that comes as it is, whose licence asks for the source of its own files alone.
PERMISSIVE := 3-Clause BSD License;Apache-2.0;Apache 2.0;Apache Software License;BSD License;BSD-2-Clause;BSD-3-Clause;ISC License (ISCL);MIT;MIT-0;$\
	MIT License;PSF-2.0;Python Software Foundation License;Apache-2.0 AND MIT;Apache-2.0 AND BSD-2-Clause;MIT AND PSF-2.0;$\
	MIT OR Apache-2.0;Apache-2.0 OR BSD-2-Clause;Apache-2.0 OR BSD-3-Clause;$\
	Mozilla Public License 2.0 (MPL 2.0)
licences: $(STAMP) ## List the licences of what is shipped; fails on one that is not known to be permissive
	@$(BIN)/pip-licenses --from=mixed --order=license --format=plain --allow-only="$(PERMISSIVE)" \
		--packages $$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' requirements-image.txt)

workflows: $(STAMP) ## Judge the workflows (actionlint, zizmor)
	@$(TOOL) actionlint && echo "actionlint: nothing found"
	@$(TOOL) zizmor --offline --no-progress --quiet --persona pedantic .github

scripts: ## Judge the syntax of the shell scripts
	@sh -n sandbox/install.sh
	@sh -n sandbox/root.sh
	@bash -n .ci/run
	@if command -v shellcheck >/dev/null 2>&1; then shellcheck $(SCRIPTS); fi

image: $(STAMP) bases ## Judge the Dockerfile (hadolint)
	@$(TOOL) hadolint Dockerfile && echo "Dockerfile: nothing found"

bases: $(STAMP) ## Say when the bases of the image are old; never fails
	@$(BIN)/python -m sandbox.bases

# Byte for byte the same from the same commit, wherever and whenever it is made: its times are that of the commit.
wheel: $(STAMP) ## Build wheel, source distribution and SBOM into dist/
	@rm -rf dist
	@export SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} && \
	$(BIN)/python -m hatchling build -d dist && \
	$(BIN)/python -m sandbox.sbom dist && \
	cd dist && sha256sum *.whl *.tar.gz *.json >SHA256SUMS && cat SHA256SUMS

# What is rendered is judged by tests/shipping.
chart: $(STAMP) ## Judge the chart (helm lint, Kubernetes' schemas) and the alerts (promtool)
	@for values in helm/ci/*.yaml; do $(TOOL) helm lint --strict --quiet helm --values $$values || exit 1; done
	@$(BIN)/python -m sandbox.chart
	@$(TOOL) promtool check rules helm/files/alerts.yaml
	@$(TOOL) promtool test rules tests/shipping/alerts_test.yaml

# Its packages are not part of `make install`: a machine without Node.js, or without npm's registry, does without them.
asyncapi: $(STAMP) ## Judge the AsyncAPI document by its official parser
	@$(TOOL) node --version >/dev/null
	@if [ tests/node/node_modules -nt tests/node/package-lock.json ] || \
		npm ci --prefix tests/node --ignore-scripts --no-audit --no-fund --silent; then \
		$(BIN)/catalog-mirror docs asyncapi --json | node tests/node/asyncapi.mjs; \
	else \
		echo "Note: npm could not get the parser of AsyncAPI, so the document was not judged." >&2; [ -z "$$CI" ]; \
	fi

instructions: $(STAMP) ## Count what an event costs in instructions, and judge that (ARGS=--write commits the counts)
	@$(BIN)/python -m benchmarks.instructions $(ARGS)

migration: $(STAMP) ## Write the next migration from the tables and kinds: NAME=what_it_adds
	@$(BIN)/python -m service.mirror.migrations "$(NAME)"
	@$(BIN)/python -m ruff check --quiet --fix service/mirror/migrations
	@$(BIN)/python -m ruff format --quiet service/mirror/migrations

docs: $(STAMP) ## Write the reference anew from the code
	@for page in settings commands metrics tables topics endpoints; do \
		$(BIN)/catalog-mirror docs $$page >docs/$$page.md || exit 1; \
	done
	@$(BIN)/catalog-mirror docs asyncapi >docs/asyncapi.yaml
	@$(BIN)/catalog-mirror docs openapi >docs/openapi.yaml
	@$(BIN)/catalog-mirror docs openapi --admin >docs/openapi-admin.yaml
	@$(BIN)/catalog-mirror docs dbt >examples/dbt/sources.yml
	@sed -i.old '/^## The views$$/,$$d' docs/mirror.md && rm docs/mirror.md.old && \
	{ printf '## The views\n\n'; $(BIN)/catalog-mirror docs views; } >>docs/mirror.md

format: $(STAMP) ## Put the code into shape (ruff)
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

bench: install ## Measure throughput; the last line is one JSON object
	@$(BIN)/python -m benchmarks $(ARGS)

profile: install ## Tell where an event's time goes, stage by stage; the last line is one JSON object
	@$(BIN)/python -m benchmarks.profile $(ARGS)

# atheris is no part of `make install`: where it has no wheel, inputs are made of the corpus alone.
FUZZER := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
	-r tests/fuzz/requirements.txt 2>/dev/null || echo "Note: atheris cannot be had here, so nothing guides the inputs."
RUNS := 100000
fuzz: install ## Run made inputs against every way in (RUNS=1000000, ARGS="bodies frames")
	@$(FUZZER)
	@$(BIN)/python -m tests.fuzz --runs $(RUNS) $(ARGS)

soak: install ## Run the slow tests, ten million made inputs among them
	@$(FUZZER)
	@$(BIN)/python -m pytest -m slow $(ARGS)

# The header says how, instead of a command line that would name this machine's paths or its index.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate $(UPGRADE)
lock: $(STAMP) ## Lock the requirements anew (UPGRADE=--upgrade takes the newest)
	@PATH="$(CURDIR)/$(BIN):$$PATH"; \
	for file in requirements.txt requirements-dev.txt requirements-image.txt requirements-build.txt; do \
		case $$file in \
			*-dev.txt) what='extra dev'; from=pyproject.toml;; \
			*-image.txt) what='extra events, kafka, mcp, otel'; from='pyproject.toml --constraint requirements-dev.txt';; \
			*-build.txt) what='group build'; from='';; \
			*) what=''; from=pyproject.toml;; \
		esac; \
		$(LOCK) $$(echo "$$what" | sed 's/^./--&/; s/,/ --extra/g') $$from --output-file $$file >/dev/null && \
		{ echo "# Locked by \`make lock\` from pyproject.toml ($${what:-running only}); do not edit."; \
		  echo "# Hashes, no index: pip's own configuration says where the files come from."; \
		  cat $$file; } >$$file.new && mv $$file.new $$file || exit 1; \
	done; \
	for wanted in tests/neighbours/requirements/*.in tests/fuzz/requirements.in; do \
		file=$${wanted%.in}.txt; \
		$(LOCK) $$wanted --output-file $$file >/dev/null && \
		{ echo "# Locked by \`make lock\` from $${wanted##*/}; do not edit."; cat $$file; } >$$file.new && \
		mv $$file.new $$file || exit 1; \
	done

clean: ## Remove what was built
	rm -rf $(VENV) .neighbours .fuzz build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
