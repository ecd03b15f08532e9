#!/usr/bin/env bash
# Makes a Debian machine ready for the tests and the demo: C compiler, RabbitMQ and Node.js from apt, Azurite and AsyncAPI's
# parser from npm.
# Sourced by the scripts beside it, or run alone. Everything there already: it says so and is done in a moment.
# It starts nothing, and two runs at once wait for each other.
# A script that plays films through a CDN's stand-in sets needs_player=1 first: FFmpeg and nginx too; one that checks AsyncAPI
# documents sets needs_parser=1; one that has metrics scraped sets needs_prometheus=1; one that checks what deploy/ ships sets
# needs_checks=1. Run alone, it makes the machine ready for everything.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
azurite_home=${TESTBED_AZURITE_HOME:-$project/target/testbed/azurite}
asyncapi_home=${TESTBED_ASYNCAPI_HOME:-$project/target/testbed/asyncapi}
rabbitmq_home=${TESTBED_RABBITMQ_HOME:-/usr/lib/rabbitmq}
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    needs_player=1
    needs_parser=1
    needs_prometheus=1
    needs_checks=1
fi

say() { printf '%s: %s\n' "$(basename "$0")" "$*"; }

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# step TEXT COMMAND...: one line with the time it took; the command's output only where it fails.
step() {
    local text=$1 from=$SECONDS log
    shift
    log=$(mktemp)
    # a subshell that is not part of a condition, so that errors in it still end it
    set +e
    ( set -e; "$@" ) >"$log" 2>&1
    local code=$?
    set -e
    if [ $code -ne 0 ]; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        fail "$text: failed (the lines above say why)"
    fi
    rm -f "$log"
    say "$text ($((SECONDS - from)) s)"
}

has() { command -v "$1" >/dev/null 2>&1; }

# The Debian packages that are not there, by the files that we use of them.
missing_packages() {
    has cc || echo gcc
    [ -e /usr/include/stdio.h ] || echo libc6-dev
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    # one that somebody chose is never replaced by Debian's
    if [ -z "${TESTBED_RABBITMQ_HOME:-}" ]; then
        if [ ! -x "$rabbitmq_home/bin/rabbitmq-server" ] || ! has epmd; then echo rabbitmq-server; fi
    fi
    has node || echo nodejs
    if [ -z "${TESTBED_AZURITE_HOME:-}" ] || { [ -n "${needs_parser:-}" ] && [ -z "${TESTBED_ASYNCAPI_HOME:-}" ]; }; then
        has npm || echo npm
    fi
    if [ -n "${needs_player:-}" ]; then
        has ffmpeg || echo ffmpeg
        # not on everybody's PATH
        has nginx || [ -x /usr/sbin/nginx ] || echo nginx
    fi
    if [ -n "${needs_prometheus:-}" ]; then
        if ! has prometheus || ! has promtool; then echo prometheus; fi
    fi
    if [ -n "${needs_checks:-}" ]; then
        has systemd-analyze || echo systemd
        # Debian's python3 has no pip of its own
        has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    fi
}

# Forbids packages to start their services (invoke-rc.d asks this file), as the broker's and the web server's would on
# their usual ports. A file of somebody else's stays; one of ours that a killed run left is taken for ours.
policy=/usr/sbin/policy-rc.d
policy_mark='# stream-replicator: no services while its set-up installs packages'
forbid_services() {
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy"
        chmod 755 "$policy"
    fi
}
allow_services() {
    if grep -qsxF "$policy_mark" "$policy"; then rm -f "$policy"; fi
}

apt() {
    # without the lock file, which a daemon that a package starts would hold for ever
    apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@" 9<&-
}

update_package_lists() {
    # apt does not wait for the lock of its lists as it does for dpkg's
    local try
    for try in 1 2 3 4 5 6 7 8 9 10; do
        if apt update; then return; fi
        sleep $((try * 2))
    done
    apt update
}

install_packages() {
    # one run at a time; the other then finds nothing missing
    exec 9</var/lib/dpkg
    flock -w 1800 9
    local packages
    packages=$(missing_packages)
    [ -n "$packages" ] || return 0
    export DEBIAN_FRONTEND=noninteractive
    trap allow_services EXIT
    forbid_services
    update_package_lists
    # shellcheck disable=SC2086  # a list of names
    apt install --no-install-recommends $packages
    local service
    for service in rabbitmq-server nginx prometheus; do
        case $packages in *"$service"*)
            # nor shall the next boot start what nobody asked for
            if [ -d /run/systemd/system ]; then systemctl disable --quiet "$service" || true; fi ;;
        esac
    done
}

# Where a RabbitMQ of somebody's choice is not complete, the run stops here, not in its first test.
check_rabbitmq() {
    [ -n "${TESTBED_RABBITMQ_HOME:-}" ] || return 0
    case $rabbitmq_home in /*) ;; *) fail "TESTBED_RABBITMQ_HOME: must be an absolute path" ;; esac
    [ -x "$rabbitmq_home/sbin/rabbitmq-server" ] || [ -x "$rabbitmq_home/bin/rabbitmq-server" ] ||
        fail "TESTBED_RABBITMQ_HOME: $rabbitmq_home holds neither sbin/rabbitmq-server nor bin/rabbitmq-server"
    has erl || fail "TESTBED_RABBITMQ_HOME: RabbitMQ needs Erlang, and there is no erl on PATH: add its bin"
}

# Its version, by the name of its main plugin; Debian's scripts are links into the server's own directory.
rabbitmq_version() {
    local server plugin
    server=$rabbitmq_home/sbin/rabbitmq-server
    [ -e "$server" ] || server=$rabbitmq_home/bin/rabbitmq-server
    for plugin in "$(dirname "$(readlink -f "$server")")"/../plugins/rabbit-[0-9]*; do
        plugin=${plugin##*/rabbit-}
        echo "${plugin%.ez}"
    done
}

check_node() {
    local major
    major=$(node --version) || fail "node does not run"
    major=${major#v}
    [ "${major%%.*}" -ge 18 ] || fail "azurite needs node.js 18 or later, and this is $major: install a newer one"
}

# What is pinned in tests/testbed/NAME, as one word.
lock_hash() { cat "$project/tests/testbed/$1"/package*.json | sha256sum; }

# is_current NAME HOME CHOSEN: a home that somebody chose is theirs.
is_current() { [ -n "$3" ] || [ "$(cat "$2/.installed" 2>/dev/null)" = "$(lock_hash "$1")" ]; }

# install_from_npm NAME HOME: what tests/testbed/NAME pins.
install_from_npm() {
    local name=$1 home=$2 new
    exec 8<"$project/target/testbed"
    flock -w 1800 8
    if is_current "$name" "$home" ""; then return; fi
    rm -rf "$home".new.*
    new=$(mktemp -d "$home.new.XXXXXX")
    cp "$project/tests/testbed/$name"/package*.json "$new"
    (cd "$new" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error 8<&-)
    lock_hash "$name" >"$new/.installed"
    # whoever reads the folder sees the whole old one or the whole new one
    if [ -e "$home" ]; then mv "$home" "$new.old"; fi
    mv "$new" "$home"
    rm -rf "$new.old"
}

# rustup's cargo, also where the shell's profile has not run
if ! has cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH; fi
has cargo || fail "there is no cargo: install Rust from https://rustup.rs first"

missing=$(missing_packages | tr '\n' ' ')
if [ -n "$missing" ]; then
    has apt-get || fail "this needs ${missing% } (Debian's names); install them, there is no apt-get here"
    [ "$(id -u)" = 0 ] || fail "this needs ${missing% }; as root: apt-get install --no-install-recommends ${missing% }"
    say "installing ${missing% } with apt"
    step "packages: installed" install_packages
fi
check_rabbitmq
check_node
mkdir -p "$project/target/testbed"
if ! is_current azurite "$azurite_home" "${TESTBED_AZURITE_HOME:-}"; then
    step "azurite: installed" install_from_npm azurite "$azurite_home"
fi
if [ -n "${needs_parser:-}" ] && ! is_current asyncapi "$asyncapi_home" "${TESTBED_ASYNCAPI_HOME:-}"; then
    step "asyncapi parser: installed" install_from_npm asyncapi "$asyncapi_home"
fi
say "set-up: complete"
