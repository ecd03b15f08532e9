#!/usr/bin/env bash
# Shows on a machine that may have nothing but Rust what this project does: sets up, builds, and plays the whole way of
# a film from the encoder to two data centres, then a retry, then a dead letter. Everything is private and ends with it.
# deploy/demo.sh --failover replicates films, and kills their source while they are watched through a CDN's stand-in;
# for that it installs FFmpeg and nginx too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = --failover ]; then needs_player=1; fi
. deploy/setup.sh

from=$SECONDS
say "build: some minutes the first time, a moment after that"
quiet=--quiet
if [ -t 2 ]; then quiet=; fi
cargo build $quiet --package stream-replicator --package testbed --bin stream-replicator --bin demo
say "build: done ($((SECONDS - from)) s)"

target=${CARGO_TARGET_DIR:-target}/debug
exec "$target/demo" --worker "$target/stream-replicator" "$@"
