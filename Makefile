# The commands of this repository. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET := $(or $(CARGO_TARGET_DIR),target)
export PATH := $(CURDIR)/target/node/node_modules/.bin:$(PATH)
BINARY := $(abspath $(TARGET)/debug/haggle)

# Test files that Node.js runs by itself; each is told the built binary by HAGGLE_BIN.
NODE_TESTS = $$(find $(wildcard tests socketio/tests) -name node_modules -prune -o -name '*.test.mjs' -print | sort)

# Two cargos at once only wait for each other.
.NOTPARALLEL:
# How long one of these files may take.
NODE_TEST_TIMEOUT_MS := 300000

.PHONY: help run test setup lint rust-tests node-tests test-build build release soak bench deny container

help: ## Lists these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

run: ## Builds and starts the server for development, with a SQLite file in this folder
	cargo run --locked

test: setup lint rust-tests node-tests ## Installs what is missing, then runs every check and every test

setup: ## Installs what the tests need and this machine lacks, and says what that is
	scripts/setup

lint: ## rustfmt, clippy and rustdoc, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

rust-tests: ## The Rust tests of all crates, on SQLite and PostgreSQL
	cargo test --workspace --locked

node-tests: test-build ## The JavaScript tests: types, against the built binary, in a browser
	@files="$(NODE_TESTS)"; \
	if [[ -z "$$files" ]]; then echo 'No *.test.mjs was found.' >&2; exit 1; fi; \
	export HAGGLE_BIN='$(BINARY)' CHROMIUM="$$(command -v chromium chromium-browser google-chrome | head -n 1)"; \
	node --test --test-timeout=$(NODE_TEST_TIMEOUT_MS) $$files

# The binary as the tests were built with it: the same features, so that no dependency is built twice.
test-build:
	cargo test --workspace --locked --no-run

build: ## The binary for development
	cargo build --locked

release: ## The binary for production, in target/release/
	cargo build --release --locked

soak: release ## The fault tests at full length, an hour or two; CASES="kills stall" runs those alone
	HAGGLE_BIN=$(abspath $(TARGET)/release/haggle) cargo run --release --locked --example soak -- $(CASES)

bench: release ## Haggle and its peers side by side, into docs/performance.md; SCENARIO=chat PEERS=haggle,limit ROUNDS=1 do a part
	cargo build --release --locked --package haggle-bench
	cargo build --release --locked --manifest-path benches/peers/Cargo.toml --target-dir $(TARGET)/peers
	cd benches/peers/node && { npm ls >/dev/null 2>&1 || npm ci --no-audit --no-fund --loglevel=error; }
	$(TARGET)/release/haggle-bench

deny: ## Dependencies: known vulnerabilities, licences, duplicates, sources (needs cargo-deny and the network)
	@command -v cargo-deny >/dev/null || { \
		echo 'cargo-deny is missing: `cargo install cargo-deny --locked` installs it in some minutes.' >&2; exit 1; }
	cargo deny --workspace check

container: ## Does by hand, in a folder, what the Dockerfile does, and proves each step
	scripts/prove-container
