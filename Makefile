# Every command of the project. Each target prints the Debian packages that it needs, and installs them.

# What cargo needs beside Rust: a linker, a C compiler for SQLite and the TLS library, protoc for containerd's messages.
BUILD := gcc libc6-dev protoc=protobuf-compiler
# What checks the protocol beside the compiler; `scripts/tools` installs it.
BUF   := target/tools/node_modules/.bin/buf
# Licences, bans and sources of all crates. Not its advisories: they are a repository of their own, which not every network lets through.
DENY  := target/tools/deny/bin/cargo-deny
# What the tests start: container runtimes, receivers of exporters, the image's shell, the virtual machine, the builder of our own image.
NODE  := containerd=containerd runc=runc busybox-static
TESTS := $(NODE) dockerd=docker.io qemu-system-x86_64=qemu-system-x86 cpio binutils buildah=buildah qemu-aarch64-static=qemu-user-static ip=iproute2 mkfs.ext4=e2fsprogs openssl faketime rsyslogd=rsyslog rsyslog-gnutls nats-server python3-venv chromium fonts-noto-cjk

# Where cargo puts what it builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help demo test soak versions lint bench release released pictures
.DEFAULT_GOAL := help

help:
	@echo "make demo    kill processes in cgroups of their own and explain each death as it comes (root)"
	@echo "make test    formatting, lints and every test: on this kernel, and in a virtual machine with cgroup v2 (root)"
	@echo "make soak    what takes too long for make test: recorded cases over days, a year of a busy node, 2,000 containers, 1,000 browsers (root)"
	@echo "make versions   the programs of another revision beside these, upgraded and rolled back: OTHER=REVISION, else the last tag (root)"
	@echo "make lint    formatting, lints, words, documentation and the protocol only"
	@echo "make released   record proto/ as it is: from then on nothing in it may break for those who use it"
	@echo "make pictures   draw the pictures of the documents again"
	@echo "make release    archives of the command line, image, chart, SBOM, krew manifest and checksums for all platforms, in target/release-files"
	@echo "make bench   delay, memory and CPU of agent and aggregator, measured on this machine (root)"

demo:
	@scripts/need $(BUILD)
	cargo build --locked --workspace --bins
	$(TARGET)/debug/coroner demo

# `--all-targets` also builds the programs that the tests start. The tests of a node follow in the same build.
test: root lint
	@scripts/need $(TESTS)
	@scripts/tools libc python nginx prometheus
	cargo build --locked --workspace --all-targets
	cargo test --locked --workspace --no-fail-fast

# In a profile that is built fast and runs fast. Of the tests of a node, only those that no other target runs.
soak: root
	@scripts/need $(BUILD) $(NODE)
	cargo build --locked --profile soak --workspace --bins
	cargo test --locked --profile soak --package coroner-tests --test long -- --include-ignored --nocapture
	cargo test --locked --profile soak --package coroner-tests --test node -- --ignored two_thousand
	cargo test --locked --profile soak --package coroner-tests --test memory_limit -- --ignored --nocapture
	$(if $(OTHER),$(MAKE) versions,@echo "make: no version is tagged, so no other one was run beside this one")

# docs/upgrading.md has what was run beside what.
OTHER ?= $(shell git describe --tags --abbrev=0 2>/dev/null)
versions: root
	@test -n "$(OTHER)" || { echo "make: no version is tagged yet; make versions OTHER=REVISION" >&2; exit 1; }
	@scripts/need $(BUILD) $(NODE)
	cargo build --locked --workspace --bins
	CORONER_OTHER=$$(scripts/other $(OTHER)) && export CORONER_OTHER && \
		cargo test --locked --workspace --test versions another_revision -- --nocapture

lint:
	@scripts/need $(BUILD) npm=npm python3-venv
	@scripts/tools buf deny
	scripts/words
	$(BUF) lint proto
	$(BUF) breaking proto --against proto/released.binpb
	$(DENY) --locked check bans licenses sources
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --locked --workspace --no-deps --document-private-items

released: lint
	$(BUF) build proto --exclude-source-info --output proto/released.binpb

# For every platform, on this machine. The C library of the image is the newest of this Debian. docs/release.md has the rest.
PROFILE   := release
PLATFORMS := linux-amd64 linux-arm64 darwin-amd64 darwin-arm64
release:
	@scripts/need $(BUILD) binutils buildah=buildah python3-venv
	@rm -rf target/tools/libc target/release-files
	@scripts/tools cross libc
	directories=$$(deploy/programs $(PROFILE) $(PLATFORMS)) && deploy/release target/release-files $$directories

bench: root
	@scripts/need $(BUILD) $(NODE)
	cargo build --locked --release --workspace --bins
	$(TARGET)/release/coroner-bench

pictures:
	@scripts/need $(BUILD)
	cargo build --locked --workspace --bin coroner
	@for language in en zh; do \
		COLUMNS=100 scripts/picture docs/images/why.$$language.svg "coroner why" \
			$(TARGET)/debug/coroner replay --lang $$language --color always tests/corpus/cases/oom-child; \
	done

	@scripts/need $(NODE) chromium fonts-noto-cjk
	@scripts/tools python
	cargo build --locked --workspace --bins
	CORONER_PICTURES=$$(mktemp -d) && export CORONER_PICTURES && \
		cargo test --locked --workspace --test consumers every_view && \
		cp $$CORONER_PICTURES/page-overview.*.png docs/images/ && rm -r $$CORONER_PICTURES

.PHONY: root
root:
	@test "$$(id -u)" = 0 || { echo "make: this makes containers and cgroups and reads the kernel log, so it needs root" >&2; exit 1; }
