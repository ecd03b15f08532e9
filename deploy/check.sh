#!/usr/bin/env bash
# Checks what deploy/ ships with the tools that will read it: deploy/check.sh [--live]
# On a machine that may have nothing but Rust it installs promtool and systemd-analyze from Debian, schemas from PyPI and npm.
# --live: besides, lets a real Prometheus scrape a real worker through an outage (deploy/test.sh does so, too).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

needs_prometheus=1
needs_checks=1
. deploy/setup.sh

tools=$project/target/testbed/deploy
pins=$project/tests/testbed/deploy

# install WHAT FILE... COMMAND: unless it was done with the same pins already.
current() { [ "$(cat "$tools/$1.installed" 2>/dev/null)" = "$(cat "$pins"/$2 | sha256sum)" ]; }
installed() { cat "$pins"/$2 | sha256sum >"$tools/$1.installed"; }

install_python() {
    rm -rf "$tools/python"
    python3 -m venv "$tools/python"
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$pins/requirements.txt"
    installed python requirements.txt
}

install_node() {
    rm -rf "$tools/node"
    mkdir -p "$tools/node"
    cp "$pins"/package*.json "$tools/node"
    (cd "$tools/node" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error)
    installed node 'package*.json'
}

check_alerts() {
    (cd deploy/prometheus && promtool check config prometheus.yml && promtool check rules alerts.yml &&
        promtool test rules alerts.test.yml)
}

# The unit is looked at with a program that is there, and judged without a systemd that runs.
most_exposed=12
check_unit() {
    local unit=$tools/stream-replicator.service
    sed 's#/usr/local/bin/stream-replicator run#/bin/true run#' deploy/systemd/stream-replicator.service >"$unit"
    systemd-analyze verify "$unit"
    systemd-analyze security --offline=true --threshold=$most_exposed --no-pager "$unit" >"$tools/security"
}

check_compose() {
    "$tools/python/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
}

# kustomize of kubectl, or alone; without either each file is looked at by itself.
rendered=$tools/kubernetes
render() {
    rm -rf "$rendered"
    mkdir -p "$rendered"
    local at name
    for at in base overlays/production rabbitmq; do
        name=$rendered/${at//\//-}.yaml
        if kubectl version --client >/dev/null 2>&1; then
            kubectl kustomize "deploy/kubernetes/$at" >"$name"
        elif has kustomize; then
            kustomize build "deploy/kubernetes/$at" >"$name"
        fi
    done
    local file
    for file in deploy/kubernetes/*/*.yaml; do
        case $file in */kustomization.yaml) ;; *) cp "$file" "$rendered/file-$(basename "$file")" ;; esac
    done
}

check_kubernetes() {
    render
    "$tools/python/bin/python" tests/testbed/deploy/kinds.py "$rendered"/*.yaml
    node tests/testbed/deploy/custom-resources.mjs "$tools/node" "$rendered"/*.yaml
}

mkdir -p "$tools"
current python requirements.txt || step "schemas from PyPI: installed" install_python
current node 'package*.json' || step "schemas from npm: installed" install_node
step "prometheus: configuration and alerts are right, every alert comes and goes" check_alerts
step "systemd: the unit is right, and exposed as little as it is meant to be" check_unit
say "systemd: exposure $(sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p' "$tools/security") of 10"
step "compose: as the Compose Specification says" check_compose
kubectl version --client >/dev/null 2>&1 || has kustomize ||
    say "kubernetes: neither kubectl nor kustomize here, so that each file is checked by itself and nothing is put together"
step "kubernetes: every resource is as its schema says" check_kubernetes
step "grafana: the dashboard is one" node tests/testbed/deploy/dashboard.mjs "$tools/node" deploy/grafana/stream-replicator.json
if [ "${1:-}" = --live ]; then
    step "live: a Prometheus saw a worker through an outage" cargo run --quiet --package testbed --bin with-testbed -- \
        cargo test --quiet --package stream-replicator --test it deploy::live
fi
say "deploy: checked"
