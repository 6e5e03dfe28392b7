# The commands of this project. `make` alone lists them.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run demo build test bench bench-web lint lint-all fmt deny tidy clean-data

DATA ?= ./data
LISTEN ?= 127.0.0.1:8080
ARGS ?=

BINARY = $$(scripts/target-dir.sh)/release/synapscale

help: ## List these commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@echo
	@echo '  Settings: DATA=$(DATA) LISTEN=$(LISTEN) ARGS="..." (for run, demo, test, bench)'

run: ## Build the server and start it (SQLite in DATA, on LISTEN)
	@scripts/prereq.sh
	@scripts/web.sh
	cargo build --release -p synapscale-server
	@exec "$(BINARY)" serve --data "$(DATA)" --listen "$(LISTEN)" --profile dev $(ARGS)

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
