#!/usr/bin/env bash
# Runs the copy benchmark on a machine that may have nothing but Rust: deploy/bench.sh [bench-copy's options]
# Besides what the tests need it installs what is measured beside ours: rclone from Debian, azcopy from npm. One that cannot
# be installed is left out. BENCH_AZCOPY=/path/to/azcopy takes another azcopy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

. deploy/setup.sh

peers_home=$project/target/testbed/peers
azcopy_package=@azure-tools/azcopy-linux
azcopy_version=10.32.2

azcopy_is_current() {
    [ -n "${BENCH_AZCOPY:-}" ] ||
        { grep -qs "\"version\": \"$azcopy_version\"" "$peers_home/node_modules/$azcopy_package/package.json" && azcopy_runs; }
}

# In a home of its own, for it writes its logs there.
azcopy_runs() {
    local home processor=amd64 ran=0
    [ "$(uname -m)" != aarch64 ] || processor=arm64
    home=$(mktemp -d)
    HOME=$home "$peers_home/node_modules/$azcopy_package/dist/bin/azcopy_linux_$processor" --version >/dev/null || ran=$?
    rm -rf "$home"
    return "$ran"
}

# The package carries the program itself, its scripts have nothing to do; a library that it needs is Debian's.
install_azcopy() {
    mkdir -p "$peers_home"
    npm install --prefix "$peers_home" --no-save --ignore-scripts --no-audit --no-fund --no-update-notifier \
        --loglevel=error "$azcopy_package@$azcopy_version"
    chmod +x "$peers_home/node_modules/$azcopy_package"/dist/bin/azcopy_linux_*
    azcopy_runs || { install_package libsecret-1-0 && azcopy_runs; }
}

install_rclone() {
    install_package rclone
}

install_package() {
    has apt-get && [ "$(id -u)" = 0 ] || return 1
    export DEBIAN_FRONTEND=noninteractive
    apt install --no-install-recommends "$1" || { update_package_lists && apt install --no-install-recommends "$1"; }
}

# attempt NAME COMMAND...: unlike `step`, goes on without it.
attempt() {
    local name=$1 log
    shift
    log=$(mktemp)
    if ( "$@" ) >"$log" 2>&1; then
        say "$name: installed"
    else
        tail -n 5 "$log" >&2
        say "$name: cannot be installed here, so it is left out"
    fi
    rm -f "$log"
}

azcopy_is_current || attempt azcopy install_azcopy
has rclone || attempt rclone install_rclone

from=$SECONDS
cargo build --quiet --release --package stream-replicator
cargo build --quiet --release --package testbed --bin cloud-model --bin bench-copy
say "build: done ($((SECONDS - from)) s)"

exec "${CARGO_TARGET_DIR:-target}/release/bench-copy" "$@"
