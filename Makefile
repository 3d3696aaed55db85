# What a person types. Everything is done by Python programs in tools/ and fixtures/; nothing leaves this folder
# but container images.

PYTHON ?= python3
ARGS ?=

export TMPDIR := $(CURDIR)/.local/tmp
export PIP_CACHE_DIR := $(CURDIR)/.local/cache/pip
export npm_config_cache := $(CURDIR)/.local/cache/npm

VENV := .local/venv/bin

.DEFAULT_GOAL := help
.PHONY: help prepare setup demo nightly up stop bench load test lint engine engine-stop orthanc images down clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  make demo ARGS=\"--dataset DIR\"       also send your own DICOM files"
	@echo "  make demo ARGS=\"--runner process\"    without containers"
	@echo "  make demo ARGS=\"--keep\"              leave the systems up afterwards"

demo: prepare ## Play the demo's claims on the reference systems and write the report
	@$(PYTHON) -m tools.demo $(ARGS)

up: prepare ## Start the whole demo in containers, to play with by hand (docs/playing.md)
	@$(VENV)/python -m tools.play up $(ARGS)

stop: prepare ## End what `make up` started; its data stays, ARGS="--delete-data" deletes it
	@$(VENV)/python -m tools.play stop $(ARGS)

nightly: prepare ## The nightly run: reference systems and, where one is named, a DICOM service in Azure (docs/azure.md)
	@$(PYTHON) -m tools.nightly $(ARGS)

test: prepare ## Check everything: lint, types, house rules, tests, suites on both runners
	@$(PYTHON) -m tools.check

bench: prepare ## Measure the systems beside others: charts, history, regression gate (docs/performance.md)
	@$(PYTHON) -m tools.bench $(ARGS)

load: prepare ## Put load on a service with Locust: ARGS="--host URL", more machines join with ARGS="--join HOST"
	@$(PYTHON) -m tools.bench load $(ARGS)

lint: prepare ## Lint, format, types and house rules only
	@$(PYTHON) -m tools.check --lint

prepare: | .local/tmp ## Install what is needed into .local (done by the others when needed)
	@$(PYTHON) -m tools.prepare

setup: prepare

engine: | .local/tmp ## See to it that a container engine answers (starts one as root on Debian or Ubuntu)
	@$(PYTHON) -m tools.engine start

engine-stop: ## End the container engine that `make engine` started, and no other
	@$(PYTHON) -m tools.engine stop

orthanc: | .local/tmp ## See to it that Orthanc can run without containers
	@$(PYTHON) -m tools.orthanc

images: prepare ## Build the container images now
	@$(VENV)/python -m fixtures.deployment.images

down: prepare ## End the systems that runs with --keep, or killed runs, have left up
	@$(VENV)/python -m fixtures.deployment.sweeper

clean: down ## Also delete logs, reports, caches and our container images; the venv stays
	@$(VENV)/python -m fixtures.deployment.clean

.local/tmp:
	@mkdir -p $@
