# The commands of this project. `make` alone lists them.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run demo build test fuzz soak bench bench-web lint lint-all fmt deny tidy clean-data

PROFILE ?= dev
# Each profile has data and a port of its own, unless a settings file says otherwise.
PORT_dev = 8080
PORT_staging = 8081
PORT_prod = 8082
DATA ?= ./data$(if $(filter-out dev,$(PROFILE)),-$(PROFILE))
LISTEN ?= 127.0.0.1:$(PORT_$(PROFILE))
SETTINGS = $(wildcard synapscale.$(PROFILE).toml synapscale.toml)
# $(call unless-set,NAME,FLAG): the flag, unless NAME is only a default and there is a settings file.
unless-set = $(if $(and $(SETTINGS),$(filter file,$(origin $(1)))),,$(2) "$($(1))")
ARGS ?=

BINARY = $$(scripts/target-dir.sh)/release/synapscale

help: ## List these commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@echo
	@echo '  Settings: PROFILE=$(PROFILE) (or staging, prod) DATA=$(DATA) LISTEN=$(LISTEN) ARGS="..." (for run, demo, test, bench)'

run: ## Build the server and start it (SQLite in DATA, on LISTEN; PROFILE=staging or prod with their guards)
	@scripts/prereq.sh
	@scripts/web.sh
	cargo build --release -p synapscale-server
	@exec "$(BINARY)" serve $(call unless-set,DATA,--data) $(call unless-set,LISTEN,--listen) --profile "$(PROFILE)" $(ARGS)

demo: ## Build the server and run the demonstration
	@scripts/prereq.sh
	@scripts/web.sh
	cargo build --release -p synapscale-server
	@exec "$(BINARY)" demo --data "$(DATA)/demo" $(ARGS)

build: ## Build the release binary; print its path and size
	@scripts/prereq.sh
	@scripts/web.sh
	cargo build --release -p synapscale-server
	@binary="$(BINARY)"; echo "$$binary  $$(du -h "$$binary" | cut -f1)"

test: ## Run all tests on SQLite and PostgreSQL (ARGS="-p synapscale-store")
	@scripts/test.sh $(ARGS)

fuzz: ## Try every operation of the API with good and broken inputs for longer (SEED=7 ROUNDS=100)
	@SYNAPSCALE_FUZZ_SEED=$${SEED:-$$(date +%s)} SYNAPSCALE_FUZZ_ROUNDS=$${ROUNDS:-100} \
	  SYNAPSCALE_TEST_PROFILE=soak scripts/test.sh -p synapscale-server -E 'test(fuzz::every)' --no-capture

soak: ## Kill the server 200 times on each database under load, and reconcile after each (KILLS=20)
	@SYNAPSCALE_SOAK_KILLS=$${KILLS:-200} SYNAPSCALE_TEST_PROFILE=soak \
	  scripts/test.sh -p synapscale-server --run-ignored only -E 'test(soak::)' --no-capture

bench: ## Measure the release build
	@scripts/bench.sh $(ARGS)

bench-web: ## Measure the pages with 10,000 runs and 20,000 tasks in Chromium
	@scripts/prereq.sh
	@scripts/web.sh
	cargo build --release -p synapscale-server
	@scripts/browser.sh scale $(ARGS)

lint: ## Check formatting, clippy's rulebook and the house rules
	@scripts/prereq.sh lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo run --quiet -p xtask -- tidy

lint-all: lint deny ## lint and deny

fmt: ## Format the Rust code
	@scripts/prereq.sh lint
	cargo fmt --all

deny: ## Check dependencies: bans, licenses, sources (ADVISORIES=1: vulnerabilities too)
	@scripts/deny.sh

tidy: ## Check the house rules alone: layers, file length, SQL, documents
	cargo run --quiet -p xtask -- tidy

clean-data: ## Delete the data that run and demo left in DATA
	@read -r -p "Delete everything in $(DATA)? [y/N] " answer && [[ $$answer == y ]] && rm -rf -- "$(DATA)" && echo "deleted" || echo "kept"
