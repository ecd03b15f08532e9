#!/usr/bin/env bash
# Writes what stream-replicator is made of, as CycloneDX (JSON): deploy/sbom.sh [FILE], by default target/sbom/stream-replicator.cdx.json
# Needs cargo-cyclonedx: cargo install cargo-cyclonedx --locked
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

file=${1:-target/sbom/stream-replicator.cdx.json}
command -v cargo-cyclonedx >/dev/null 2>&1 || {
    echo "sbom.sh: there is no cargo-cyclonedx: cargo install cargo-cyclonedx --locked" >&2
    exit 1
}
# It writes beside each Cargo.toml of the workspace: in a copy of what it reads, so that nothing else is touched.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git archive HEAD 2>/dev/null | tar -x -C "$copy" 2>/dev/null || cp -r Cargo.toml Cargo.lock src tests config README.md LICENSE "$copy"
cargo cyclonedx --quiet --manifest-path "$copy/Cargo.toml" --format json --spec-version 1.5 \
    --override-filename sbom --target x86_64-unknown-linux-gnu
mkdir -p "$(dirname "$file")"
cp "$copy/sbom.json" "$file"
echo "sbom.sh: $(grep -c '"purl"' "$file") components in $file"
