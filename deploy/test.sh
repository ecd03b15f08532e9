#!/usr/bin/env bash
# Runs all tests against a real RabbitMQ and a real Azurite, on a machine that may have neither: deploy/test.sh [--full] [...]
# --full adds the long suite, minutes more (nextest's profile full); further arguments go to cargo nextest (or to cargo
# test, where nextest is not installed).
# TESTBED_RABBITMQ_HOME=/path/to/rabbitmq_server-4.0.5 runs them against that server in place of Debian's, its Erlang first
# on PATH.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

full=
if [ "${1:-}" = --full ]; then
    full=1
    shift
fi

needs_player=1
needs_parser=1
needs_prometheus=1
. deploy/setup.sh

from=$SECONDS
cargo build --quiet --workspace --all-targets
say "build: done ($((SECONDS - from)) s)"

say "rabbitmq: $(rabbitmq_version) in $rabbitmq_home"
from=$SECONDS
with_testbed="cargo run --quiet --package testbed --bin with-testbed --"
if cargo nextest --version >/dev/null 2>&1; then
    profile=default
    if [ -n "${CI:-}" ]; then profile=ci; fi
    if [ -n "$full" ]; then profile=full; fi
    $with_testbed cargo nextest run --workspace --profile "$profile" "$@"
    # nextest leaves the examples in the documentation to cargo
    if [ $# -eq 0 ]; then cargo test --quiet --workspace --doc; fi
else
    say "cargo-nextest is not installed; cargo test does the same more slowly"
    if [ -z "$full" ]; then
        # what nextest's other profiles leave out
        case " $* " in *" -- "*) ;; *) set -- "$@" -- ;; esac
        set -- "$@" --skip asset_of_25_000_files --skip ::long::
    fi
    $with_testbed cargo test --workspace "$@"
fi
say "tests: passed ($((SECONDS - from)) s)"
