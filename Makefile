# One documented verb a recipe; `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help run build test services services-stop clients bench fault fuzz fmt lint lint-deploy

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## everything in one process on the embedded log, no services needed; data under ./data
	cargo run --release --bin gosight -- dev

build: ## all binaries, optimised, in target/release
	cargo build --release --workspace

test: ## every check and test, on real services that it starts and stops itself
	deploy/test.sh

services: ## start real Kafka, PostgreSQL and Redis on loopback; addresses in .services/env
	deploy/services/services.sh start

services-stop: ## stop what `make services` started, and remove its data
	deploy/services/services.sh stop

clients: ## install the clients that the tests send with: curl, Chromium, a Python with gRPC
	deploy/services/clients.sh

bench: ## measure the edge, the enricher and `gosight dev`, beside bare baselines, on real services that it starts and stops itself
	deploy/bench.sh

fault: ## a million events while edges, enrichers and brokers are killed and frozen; FAULT_SEED, FAULT_EVENTS, FAULT_BROKERS
	deploy/fault.sh

fuzz: ## run each fuzz target of tests/fuzz for FUZZ_SECONDS (600); needs cargo-fuzz
	deploy/fuzz.sh

fmt: ## format the code
	cargo fmt --all

lint: ## formatting, clippy, and the rules for dependencies where cargo-deny is installed
	deploy/lint.sh

lint-deploy: ## Dockerfile, compose files, Helm chart and alerts, with the tools that it installs under target/
	deploy/lint-deploy.sh
