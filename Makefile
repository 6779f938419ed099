# What people run. `make demo` and `make test` do their own set-up.
#
# Compiled dependencies live in the user's cache, so that a clean checkout does
# not compile Polars again (half an hour on two cores; see Cargo.toml).

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/oxidask
export CARGO_TARGET_DIR ?= $(CACHE)/target

VENV := .venv
PYTHON := $(VENV)/bin/python
# The Python crate is a module for an interpreter, not a program of its own.
RUST_CRATES := --workspace --exclude oxidask-py

.PHONY: demo test test-rust test-python check bench build setup clean help

help:
	@echo 'make demo    build, then run the tour on real data'
	@echo 'make test    build, then run every test'
	@echo 'make check   format, lints, documentation, stubs'
	@echo 'make bench   measure beside Dask, print ratios'

setup: $(VENV)/.ready

$(VENV)/.ready: requirements-dev.txt scripts/setup.sh
	scripts/setup.sh $(VENV)
	touch $@

build: setup
	VIRTUAL_ENV=$(abspath $(VENV)) $(VENV)/bin/maturin develop --release --locked

demo: build
	$(PYTHON) examples/tour.py

test: test-rust test-python

test-rust: setup
	cargo test --release --locked $(RUST_CRATES)

test-python: build
	$(PYTHON) -m pytest

check: build
	cargo fmt --all --check
	PYO3_PYTHON=$(abspath $(PYTHON)) cargo clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --release --locked --no-deps $(RUST_CRATES)
	$(PYTHON) -m mypy.stubtest oxidask._oxidask --allowlist scripts/stubtest_allow.txt \
		--ignore-missing-stub --ignore-positional-only
	$(PYTHON) -m ruff check python tests benches examples scripts
	$(PYTHON) -m ruff format --check python tests benches examples scripts

bench: build
	cargo run --release --locked -p oxidask-exec --example overhead
	$(PYTHON) benches/run.py

clean:
	rm -rf $(VENV) .pytest_cache python/oxidask/*.so
