# Lookalike: set-up, demo, tests and checks. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Another package index for torch and torchvision, for their smaller CPU-only builds (docs/getting-started.md).
TORCH_INDEX ?=
# Processes that share the tests: many wait for servers that they have started.
TEST_PROCESSES ?= 3
# Anything: see how much of the code the tests reach, which takes longer.
COVERAGE ?=
# A folder of photographs for `make demo`; empty takes those that scikit-image ships.
IMAGES ?=
# The version that pyproject.toml names, and what is kept of its contract.
VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
IMAGE := protos/released/lookalike-v$(VERSION).json
HASH := \#
# What `make setup` installs.
EXTRAS := client,web,search,analysis,embedder,worker,timm,text,onnx,heif,jxl,raw,redis-server,demo,docs,dev
# What `make proto-check` compares the contract with: the last release by its tag, or, in a source
# archive or a clone without tags, by the image of its contract.
BREAKING_AGAINST ?= $(shell tag=$$(test -d .git && git describe --tags --abbrev=0 --match 'v*' 2>/dev/null) \
  && echo ".git$(HASH)tag=$$tag,subdir=protos" || ls -v protos/released/lookalike-v*.json | tail -n 1)

SOURCES := protos/lookalike/wire protos/lookalike/serving embedder_service search_service client/lookalike_client deploy/ray/lookalike_bulk client/unasync.py client/service_config.py docs/extensions
STAMP := $(VENV)/.installed
DEPLOY_VENV := .deploy-venv
DEPLOY_STAMP := $(DEPLOY_VENV)/.installed

.PHONY: help setup demo test test-web test-examples test-cluster cluster test-observability chaos soak lint type format proto proto-check unasync unasync-check settings settings-check check docs bench
.PHONY: sbom audit release-check release-image update-deps clean check-deploy chart-test image-test

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 22

# Bytecode is written here: where the environment forbids Python to write it, each process
# would compile all sources again before it starts.
setup: $(STAMP) ## Make .venv with pinned dependencies (TORCH_INDEX=… for a CPU-only torch)
	@$(BIN)/python -m compileall -q protos embedder_service search_service client

# By hash but for torch, whose index may be another, and CUDA, which follows it. The last adds
# ourselves, and whatever a newer Python needs beyond the lock.
$(STAMP): pyproject.toml deploy/constraints.txt deploy/locked.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one with make PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || $(PYTHON) -m virtualenv $(VENV) \
	  || { rm -rf $(VENV); echo 'Python cannot make a virtual environment: install the package python3-venv (or virtualenv)' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --require-hashes --no-deps --requirement deploy/locked.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint deploy/constraints.txt \
	  $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch torchvision
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint deploy/constraints.txt \
	  --editable '.[$(EXTRAS)]'
	$(BIN)/python -c 'from search_service.compiled.warm import warm_up; warm_up()'
	@touch $@

demo: setup ## Index real photographs, search, and draw a contact sheet (IMAGES=dir for your own)
	$(BIN)/python -m lookalike_client.demo $(if $(IMAGES),--images '$(IMAGES)')

test: setup ## Run the tests (COVERAGE=1: and see how much of the code they reach)
	@mkdir -p build
	$(BIN)/python -m pytest --reruns=1 --max-suite-reruns=5 --rerun-show-tracebacks --numprocesses=$(TEST_PROCESSES) --dist=loadscope $(if $(COVERAGE),--cov --cov-report=)
ifneq ($(COVERAGE),)
	@echo 'Lines and branches that the tests reach, in percent:'
	@$(BIN)/python -m coverage report --format=total
endif

# Chromium by apt where that is there and may install; the tests say what to install where it is not.
test-web: setup ## Run the tests of the page in Chromium (installs it by apt where it can)
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	  && { apt-get install --yes --quiet --no-install-recommends chromium \
	    || { apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends chromium; }; } >/dev/null; } \
	  || echo 'make test-web: there is no Chromium and it cannot be installed here: apt-get install chromium'
	$(BIN)/python -m pytest -m web tests/web

# Java's libraries by apt where that may install; what is not there is skipped with its reason.
JAVA_PACKAGES := protobuf-compiler libprotobuf-dev protobuf-compiler-grpc-java-plugin libgrpc-java \
  libprotobuf-java libnetty-java libnetty-tcnative-java libnetty-tcnative-jni libperfmark-java \
  libgoogle-common-protos-java libgoogle-gson-java libgeronimo-annotation-1.3-spec-java
test-examples: setup ## Build the clients of client/examples in each language and run them
	@dpkg --status $(JAVA_PACKAGES) >/dev/null 2>&1 || { command -v javac >/dev/null && test "$$(id -u)" = 0 \
	  && { apt-get install --yes --quiet --no-install-recommends $(JAVA_PACKAGES) \
	    || { apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends $(JAVA_PACKAGES); }; } >/dev/null; } \
	  || echo 'make test-examples: the example in Java needs javac and apt-get install $(JAVA_PACKAGES)'
	$(BIN)/python -m pytest -m examples tests/examples

chaos: setup ## Run the long fault-injection tests
	$(BIN)/python -m pytest -m chaos --timeout=7200

test-observability: setup ## Have a real Prometheus check the rules, scrape a system, answer the dashboard
	$(BIN)/python -m pytest -m observability tests/observability --timeout=300

soak: setup ## Load a whole system for SOAK_MINUTES (30) and see that it does not grow: build/soak
	$(BIN)/python -m tests.soak

test-cluster: setup ## Run the tests on a Ray cluster of three nodes on this machine
	$(RAY)
	$(BIN)/python -m pytest -m cluster tests/cluster

cluster: setup ## Run a cluster of three nodes on this machine to try things on, with a front at 127.0.0.1:50051
	$(RAY)
	$(BIN)/python -m tests.cluster

check: lint type proto-check unasync-check settings-check docs ## Run every static check

lint: setup ## Check style, import directions, and that no code is dead
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/vulture

type: setup ## Check types
	$(BIN)/mypy $(SOURCES) $(wildcard deploy/*.py) deploy/checks deploy/ray/plan.py tests

format: setup ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/buf format -w protos

proto: setup ## Generate the Python code of the contract, and what clients may repeat
	$(call generate,protos)
	PYTHONPATH=protos:client $(BIN)/python client/service_config.py

proto-check: setup ## Check the contract: style, compatibility, generated code up to date
	$(BIN)/buf lint protos
	$(BIN)/buf format -d --exit-code protos
	@test -n '$(BREAKING_AGAINST)' || { echo 'no released contract to compare with: protos/released is empty' >&2; exit 1; }
	$(BIN)/buf breaking protos --against '$(BREAKING_AGAINST)'
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(call generate,$$fresh); \
	for file in protos/lookalike/v1/*_pb2*.py*; do \
	  cmp "$$file" "$$fresh/lookalike/v1/$$(basename $$file)" || { echo 'run make proto' >&2; exit 1; }; \
	done

unasync: setup ## Make the blocking client from the asyncio one
	$(BIN)/python client/unasync.py

unasync-check: setup ## Check that the blocking client is what the asyncio one says
	$(BIN)/python client/unasync.py --check

settings: setup ## Write the tables of deploy/SETTINGS.md from the settings that are declared
	$(BIN)/python deploy/settings_page.py

settings-check: setup ## Check that deploy/SETTINGS.md says what is declared
	$(BIN)/python deploy/settings_page.py --check

check-deploy: $(DEPLOY_STAMP) ## Check images, compose file and Helm chart; needs no cluster
	$(DEPLOY_VENV)/bin/python -m deploy.checks.check_deploy

# Its tools and what they bring do not get along with ours.
$(DEPLOY_STAMP): deploy/checks/tools.txt
	@test -x $(DEPLOY_VENV)/bin/python || $(PYTHON) -m venv $(DEPLOY_VENV) || $(PYTHON) -m virtualenv $(DEPLOY_VENV)
	$(DEPLOY_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement deploy/checks/tools.txt
	@touch $@

chart-test: setup $(DEPLOY_STAMP) ## Run what the chart would have run, as processes here; needs root
	$(BIN)/python -m deploy.checks.play_chart $(DEPLOY_VENV)

image-test: setup ## Build the services' images, start and use them (SERVICES=search for one); needs root, buildah, debootstrap
	SERVICES='$(SERVICES)' TORCH_INDEX='$(TORCH_INDEX)' deploy/checks/image_test.sh

docs: setup ## Build the documentation into build/docs; a warning is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env --write-all \
	  --jobs auto --doctree-dir build/doctrees docs build/docs
	@echo 'build/docs/index.html'

sbom: setup ## Write what is installed to build/sbom.json (CycloneDX)
	$(BIN)/python deploy/sbom.py build/sbom.json

# In an environment of its own: it must not bring along what it audits.
audit: setup ## Ask for known weaknesses of what is pinned; fails where that cannot be asked
	@test -x build/audit/bin/pip-audit || { $(BIN)/python -m venv build/audit \
	  && build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1; }
	$(BIN)/python deploy/audit.py build/audit/bin/pip-audit

release-check: setup ## Check that this version can be released: changelog, wheel, each extra by itself
	$(BIN)/python deploy/release_check.py

update-deps: setup ## Renew the pins and their hashes: the newest versions that pyproject.toml allows (KEEP=--keep: hashes alone)
	@test -x build/uv/bin/uv || { $(BIN)/python -m venv build/uv \
	  && build/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9; }
	$(BIN)/python deploy/update_constraints.py build/uv/bin/uv $(KEEP)

release-image: setup ## Keep the contract of the version that is about to be released, for proto-check
	@! git rev-parse --quiet --verify 'refs/tags/v$(VERSION)' >/dev/null 2>&1 \
	  || { echo 'v$(VERSION) is released: its contract does not change any more' >&2; exit 1; }
	$(BIN)/buf build protos --exclude-source-info --output '$(IMAGE)'

bench: bench-analysis bench-embed bench-encoders bench-ingest bench-search bench-query bench-web ## Run the benchmark suites but the long one

bench-cluster: setup
	$(RAY)
	$(BIN)/python -m tests.bench.cluster

bench-%: setup ## Run one suite: bench-analysis, -cluster, -embed, -encoders, -ingest, -query, -search, -search-million, -web
	$(BIN)/python -m tests.bench.$(subst -,_,$*)

clean: ## Remove what was built, the environment included
	rm -rf $(VENV) .bench-venv* .deploy-venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

define RAY
$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint deploy/constraints.txt 'ray[data]'
endef

define generate
$(BIN)/python -m grpc_tools.protoc -Iprotos \
  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
  --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
  --python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) \
  protos/lookalike/v1/*.proto
endef
