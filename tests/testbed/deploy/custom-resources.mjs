// Custom resources against the Go types of their operators (KEDA, Prometheus operator), as @kubernetes-models has them.
// RabbitMQ's topology operator is in no package: its resources are made, and compared, by a test (tests/it/deploy/topology.rs).
// Usage: node custom-resources.mjs FOLDER_WITH_NODE_MODULES FILE...

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { compare } from "./typed.mjs";

const [modules, ...files] = process.argv.slice(2);
const { parseAllDocuments } = createRequire(join(modules, "package.json"))("yaml");

const packages = { "keda.sh/v1alpha1": "@kubernetes-models/keda", "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator" };
const imports = new Set();
const values = [];
for (const file of files) {
    for (const document of parseAllDocuments(readFileSync(file, "utf8"))) {
        if (document.errors.length > 0) throw new Error(`${file}: ${document.errors[0]}`);
        const data = document.toJS();
        const home = packages[data?.apiVersion];
        if (home === undefined) continue;
        imports.add(`import type { I${data.kind} } from "${home}/${data.apiVersion}/${data.kind}";`);
        values.push({ name: `value${values.length}`, type: `Plain<I${data.kind}>`, data, where: `${file}: ${data.kind} ${data.metadata.name}` });
    }
}
if (values.length < 5) throw new Error(`only ${values.length} custom resources in ${files.join(", ")}`);
compare(modules, [...imports].join("\n"), values);
console.log(`${values.length} custom resources are as their types`);
