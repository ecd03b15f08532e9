#!/usr/bin/env bash
# Makes the secrets that compose.yaml wants, in deploy/compose/secrets/; those that are there already are left.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
umask 077
mkdir -p secrets

# keep NAME VALUE: readable for the containers' users, in a folder that is only yours
keep() {
    [ -e "secrets/$1" ] || printf '%s\n' "$2" >"secrets/$1"
    chmod 644 "secrets/$1"
}
password() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }
key() { head -c 64 /dev/urandom | base64 -w 0; }

for user in worker operator encoder; do keep "rabbitmq-$user-password" "$(password)"; done
keep rabbitmq-worker-url "amqp://replication-worker:$(cat secrets/rabbitmq-worker-password)@rabbitmq:5672/%2f"
keep grafana-password "$(password)"
storage=$(key)
media=$(key)
keep storage-key "$storage"
keep media-key "$media"
storage=$(cat secrets/storage-key)
media=$(cat secrets/media-key)
# Azurite takes its accounts from the environment only
keep azurite.env "AZURITE_ACCOUNTS=west:$storage;east:$storage"
account() {
    printf '{"name":"%smedia","data_centre":"%s","key":"%s","storage_endpoint":"http://azurite:10000/%s","storage_account":"%s","storage_key":"%s","streaming_port":%s}' \
        "$1" "$1" "$media" "$1" "$1" "$storage" "$2"
}
keep emulator.json "{\"accounts\":[$(account west 8081),$(account east 8082)]}"
echo "make-secrets.sh: deploy/compose/secrets is complete"
