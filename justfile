# Short names for what is done often. `just` lists them.

_default:
    @just --list

# Everything: format, lints, docs, tests on SQLite, PostgreSQL and RabbitMQ
test *ARGS:
    ./scripts/test {{ if ARGS == "" { "" } else { "-- " + ARGS } }}

# Only what needs no server
test-embedded *ARGS:
    ./scripts/test --embedded {{ if ARGS == "" { "" } else { "-- " + ARGS } }}

# Put the code into shape
fmt:
    cargo fmt --all

# Lints and docs, as strict as in CI
lint:
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The whole walk of a webhook on SQLite, with a server to look at
demo *ARGS:
    cargo run --release -- demo {{ ARGS }}

# Measure; `just bench --help` says what
bench *ARGS:
    cargo run --release --package efface-bench -- {{ ARGS }}

# Rules for dependencies
deny:
    cargo deny check

# Private PostgreSQL and RabbitMQ in DIR: `just services start DIR`, then `source DIR/env`
services *ARGS:
    ./scripts/services {{ ARGS }}
