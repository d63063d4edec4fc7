# syntax=docker/dockerfile:1
# Efface in about 100 MB: built in one image, run in another that holds nothing but the binary.

FROM rust:1.95-slim-bookworm AS rust
WORKDIR /src

# The manifests alone, with empty sources. The next stage copies the result, so that its dependency layer is built anew
# only when a manifest or the lock file changes, whatever else did.
FROM rust AS manifests
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -path '*/src/lib.rs' ! -path '*/src/main.rs' \
        ! -path '*/src/bin/*.rs' ! -path './tests/it/main.rs' -delete \
    && find . -type d -empty -delete \
    && find . -name lib.rs -exec sh -c ': > "$1"' _ {} \; \
    && find . -name '*.rs' ! -name lib.rs -exec sh -c 'echo "fn main() { }" > "$1"' _ {} \;

FROM rust AS build
ENV CARGO_INCREMENTAL=0
COPY --from=manifests /src .
RUN cargo build --release --locked --package efface
COPY . .
# Copied files carry older dates than the empty ones that were built: without a touch cargo would think all is done.
RUN find . -name '*.rs' -path '*/src/*' -exec touch {} + \
    && cargo build --release --locked --package efface \
    && install -d -o 10001 -g 10001 -m 0700 /empty

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Efface" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/efface/efface"
COPY --from=build /src/target/release/efface /usr/local/bin/efface
# Where the SQLite file and the keys live when nothing else is configured; volumes mounted here start with this owner.
COPY --from=build --chown=10001:10001 /empty /var/lib/efface
COPY --from=build --chown=10001:10001 /empty /keys
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /var/lib/efface
ENV EFFACE__HTTP__LISTEN=0.0.0.0:8080
# Memory that one thread has freed serves the others: some MiB less, and no slower.
ENV MALLOC_ARENA_MAX=1
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["efface", "healthcheck"]
ENTRYPOINT ["efface"]
CMD ["serve"]
