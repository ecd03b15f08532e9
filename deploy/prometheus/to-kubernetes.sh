#!/usr/bin/env bash
# Makes deploy/kubernetes/monitoring/prometheus-rule.yaml of alerts.yml, for the Prometheus operator. A test compares them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

rule=../kubernetes/monitoring/prometheus-rule.yaml
mkdir -p "$(dirname "$rule")"
{
    cat <<'HEAD'
# Made of deploy/prometheus/alerts.yml by to-kubernetes.sh there: change that file, and run the script.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: stream-replicator
spec:
HEAD
    grep -v '^#' ../prometheus/alerts.yml | sed 's/^\(.\)/  \1/'
} >"$rule"
