# Two commands for a newcomer: `make demo` and `make test`. Each target is a script or one line of cargo.

.PHONY: demo test check windows bench soak

demo: ## the whole of Pinkas on this machine, with a pretend phone system
	@./demo/demo.sh

test: ## everything: sets up what is needed, then checks and tests
	@./tests/setup/test.sh

check: ## format and lints only
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

windows: ## type-checks the programs for Windows, on any system; what C there is is left out, so nothing can be run
	rustup target add x86_64-pc-windows-gnu
	env CC_x86_64_pc_windows_gnu=true CXX_x86_64_pc_windows_gnu=true AR_x86_64_pc_windows_gnu=true \
	  cargo check --locked --target x86_64-pc-windows-gnu -p pinkas-agent -p pinkas-hub -p pinkas-sip-adapter

bench: ## sets up what is needed, then how fast and at what cost, beside floors and Kamailio in the same run
	@./tests/setup/bench.sh

soak: ## a minute of junk beside real calls: none is lost and memory stays; not part of the tests
	cargo build --locked --release --workspace --bins
	cargo bench --locked --workspace --bench soak
