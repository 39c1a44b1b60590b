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

# Folders with a lockfile of npm's.
NPM_FOLDERS := tests socketio/tests/js

# Says how to get a tool of cargo's that is missing.
needs = command -v $(1) >/dev/null || { \
	echo '$(1) is missing: `cargo install $(1) --locked` installs it in some minutes.' >&2; exit 1; }

.PHONY: help run test setup lint rust-tests node-tests test-build build release release-build sbom soak bench deny audit fuzz container

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

# Half as many again as there are processors: the fault tests wait more than they work. 402 tests took 222 s on two instead of 320.
rust-tests: ## The Rust tests of all crates, on SQLite and PostgreSQL
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$(($$(nproc) * 3 / 2))} cargo test --workspace --locked

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

release: release-build sbom ## The binary for production, and the list of what is in it (CycloneDX), in target/release/

release-build:
	cargo build --release --locked

sbom: # What the binary is made of, on the platform that it is built on.
	@$(call needs,cargo-cyclonedx)
	cargo cyclonedx --format json --spec-version 1.5 --override-filename haggle.cdx --quiet
	@mkdir -p $(TARGET)/release
	sed 's|file://$(CURDIR)|file://.|g' haggle.cdx.json >$(TARGET)/release/haggle.cdx.json
	@rm -f haggle.cdx.json */haggle.cdx.json # Also those of the other members, whose parts stand in it.

soak: release-build ## The fault tests at full length, an hour or two; CASES="kills stall" runs those alone
	HAGGLE_BIN=$(abspath $(TARGET)/release/haggle) cargo run --release --locked --example soak -- $(CASES)

bench: release-build ## Haggle and its peers side by side, into docs/performance.md; SCENARIO=chat PEERS=haggle,limit ROUNDS=1 do a part, SCENARIO=growth its growth
	cargo build --release --locked --package haggle-bench
	cargo build --release --locked --manifest-path benches/peers/Cargo.toml --target-dir $(TARGET)/peers
	cd benches/peers/node && { npm ls >/dev/null 2>&1 || npm ci --no-audit --no-fund --loglevel=error; }
	$(TARGET)/release/haggle-bench

deny: ## Dependencies: licences, duplicates, sources, and with the network known vulnerabilities (needs cargo-deny)
	@$(call needs,cargo-deny)
	cargo deny --workspace check bans licenses sources
	cargo deny --manifest-path fuzz/Cargo.toml --config deny.toml check bans licenses sources
	cargo deny --workspace check advisories
	cargo deny --manifest-path fuzz/Cargo.toml --config deny.toml check advisories

audit: ## npm packages that the tests run: known vulnerabilities (needs the registry's audit service)
	for folder in $(NPM_FOLDERS); do (cd "$$folder" && npm audit --audit-level=low); done

fuzz: ## Every parser on 100,000,000 inputs that libFuzzer makes up; hours (needs cargo-fuzz; scripts/fuzz does one)
	@$(call needs,cargo-fuzz)
	scripts/fuzz all

container: ## Does by hand, in a folder, what the Dockerfile does, and proves each step
	scripts/prove-container
