# Everything that a person or a machine has to type. Each target installs the Debian packages that it needs, and says so.

# What cargo needs beside Rust: a linker, a C compiler for SQLite and the TLS library, protoc for containerd's messages.
BUILD := gcc libc6-dev protoc=protobuf-compiler
# What checks the protocol beside the compiler; `scripts/tools` installs it.
BUF   := target/tools/node_modules/.bin/buf
# What the tests start: container runtimes, receivers of exporters, the image's shell, the virtual machine, the builder of our own image.
NODE  := containerd=containerd runc=runc busybox-static
TESTS := $(NODE) dockerd=docker.io qemu-system-x86_64=qemu-system-x86 cpio binutils buildah=buildah ip=iproute2 mkfs.ext4=e2fsprogs openssl faketime rsyslogd=rsyslog rsyslog-gnutls nats-server python3-venv

.PHONY: help demo test soak lint bench released
.DEFAULT_GOAL := help

help:
	@echo "make demo    kill processes in cgroups of their own and explain each death as it comes (root)"
	@echo "make test    formatting, lints and every test: on this kernel, and in a virtual machine with cgroup v2 (root)"
	@echo "make soak    what takes too long for make test: every recorded case over days, a year of a busy node, 2,000 containers (root)"
	@echo "make lint    formatting, lints, documentation and the protocol only"
	@echo "make released   record proto/ as it is: from then on nothing in it may break for those who use it"
	@echo "make bench   delay, memory and CPU of agent and aggregator, measured on this machine (root)"

demo:
	@scripts/need $(BUILD)
	cargo build --locked --workspace --bins
	target/debug/coroner demo

# `--all-targets` also builds the programs that the tests start. The tests of a node follow in the same build.
test: root lint
	@scripts/need $(TESTS)
	@scripts/tools python nginx
	cargo build --locked --workspace --all-targets
	cargo test --locked --workspace --no-fail-fast

# In a profile that is built fast and runs fast. Of the tests of a node, only those that no other target runs.
soak: root
	@scripts/need $(BUILD) $(NODE)
	cargo build --locked --profile soak --workspace --bins
	cargo test --locked --profile soak --package coroner-tests --test long -- --include-ignored --nocapture
	cargo test --locked --profile soak --package coroner-tests --test node -- --ignored two_thousand

lint:
	@scripts/need $(BUILD) npm=npm
	@scripts/tools buf
	$(BUF) lint proto
	$(BUF) breaking proto --against proto/released.binpb
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --locked --workspace --no-deps --document-private-items

released: lint
	$(BUF) build proto --exclude-source-info --output proto/released.binpb

bench: root
	@scripts/need $(BUILD) $(NODE)
	cargo build --locked --release --workspace --bins
	target/release/coroner-bench

.PHONY: root
root:
	@test "$$(id -u)" = 0 || { echo "make: this makes containers and cgroups and reads the kernel log, so it needs root" >&2; exit 1; }
