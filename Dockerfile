# The image of agent, aggregator and CLI: three programs, the C library they need, and nothing else (no shell, no package manager).
# Build it with `docker build .`, `podman build .` or `buildah build .`. `make release` uses the last stage only, for every architecture.
#
# Linked against glibc, whose loader and libraries are copied along, rather than static: names are then resolved by the
# same getaddrinfo as everywhere (search domains of the cluster, /etc/hosts), and no further target is needed.

# An exact version; docs/operating.md describes how to pin its digest, and how to get an SBOM and provenance.
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-bookworm
FROM ${RUST_IMAGE} AS build
# The version of rust-toolchain.toml, named here so that rustup does not fetch the components that only development needs.
ENV RUSTUP_TOOLCHAIN=1.95.0
# containerd-client compiles containerd's API with protoc.
RUN apt-get update && apt-get install -y --no-install-recommends protobuf-compiler && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The commit, as --version of the programs shows it: --build-arg REVISION=$(git rev-parse --short=12 HEAD)
ARG REVISION=
ENV CORONER_REVISION=$REVISION
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin coroner-agent --bin coroner-aggregator --bin coroner \
    && deploy/image-root /out /lib/$(uname -m)-linux-gnu target/release/coroner-agent target/release/coroner-aggregator target/release/coroner

FROM scratch AS runtime
LABEL org.opencontainers.image.title="Coroner" \
      org.opencontainers.image.description="Explains why containers, pods and nodes died on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
ENV PATH=/usr/bin
# The aggregator needs no privilege at all. The agent's manifest sets runAsUser: 0, since capabilities need it.
USER 65532:65532
CMD ["coroner", "--help"]
