"""Kubernetes' own kinds against its schemas, where no field is unknown; and that nobody forgot the others."""

import sys

import kubernetes_validate
import yaml

# the oldest that still gets fixes, and the newest that there are schemas of
VERSIONS = ["1.33", "1.37"]
# their types are elsewhere: custom-resources.mjs, tests/it/deploy/topology.rs
ELSEWHERE = ("keda.sh/v1alpha1", "monitoring.coreos.com/v1", "rabbitmq.com/v1beta1")

seen, wrong = 0, []
for file in sys.argv[1:]:
    with open(file, encoding="utf-8") as opened:
        for resource in yaml.safe_load_all(opened):
            if resource["apiVersion"] in ELSEWHERE:
                continue
            # kustomize adds what a file by itself has not got yet
            if "/file-" in file and resource["kind"] == "Deployment":
                resource["spec"].setdefault("selector", {"matchLabels": {}})
            seen += 1
            # what the schema allows and nobody wants
            if resource["kind"] == "Deployment" and "production" in file:
                if "replicas" in resource["spec"]:
                    wrong.append(f"{file}: Deployment and ScaledObject both say how many replicas there are")
                for container in resource["spec"]["template"]["spec"]["containers"]:
                    if ":" not in container["image"].rsplit("/", 1)[-1]:
                        wrong.append(f"{file}: image {container['image']} is of any version")
            for version in VERSIONS:
                try:
                    kubernetes_validate.validate(resource, version, strict=True)
                except kubernetes_validate.ValidationError as error:
                    wrong.append(f"{file}: {resource['kind']} {error.path}: {error.message} (Kubernetes {version})")
if seen < 4:
    wrong.append(f"only {seen} resources in {sys.argv[1:]}")
print("\n".join(wrong) or f"{seen} resources are as Kubernetes {' and '.join(VERSIONS)} want them")
sys.exit(bool(wrong))
