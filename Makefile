# Two commands for a newcomer: `make demo` and `make test`. Each target is a script or one line of cargo.

.PHONY: demo test check bench soak

demo: ## the whole of Pinkas on this machine, with a pretend phone system
	@./demo/demo.sh

test: ## everything: sets up what is needed, then checks and tests
	@./tests/setup/test.sh

check: ## format and lints only
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

bench: ## sets up what is needed, then how fast and at what cost, beside floors and Kamailio in the same run
	@./tests/setup/bench.sh

soak: ## a minute of junk beside real calls: none is lost and memory stays; not part of the tests
	cargo build --locked --profile bench --workspace --bins --bench soak
	cargo bench --locked --workspace --bench soak
