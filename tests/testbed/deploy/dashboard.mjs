// A dashboard against Grafana's own types (grafana-foundation-sdk), and by what every one of ours has.
// Usage: node dashboard.mjs FOLDER_WITH_NODE_MODULES FILE

import { readFileSync } from "node:fs";
import { compare } from "./typed.mjs";

const [modules, file] = process.argv.slice(2);
const dashboard = JSON.parse(readFileSync(file, "utf8"));

const wrong = [];
const ids = new Set();
for (const panel of dashboard.panels) {
    if (ids.has(panel.id)) wrong.push(`panel ${panel.id} is there twice`);
    ids.add(panel.id);
    const { x, y, w, h } = panel.gridPos;
    if (x + w > 24) wrong.push(`'${panel.title}' is too wide`);
    for (const other of dashboard.panels) {
        const at = other.gridPos;
        const apart = at.x >= x + w || x >= at.x + at.w || at.y >= y + h || y >= at.y + at.h;
        if (other !== panel && !apart) wrong.push(`'${panel.title}' lies on '${other.title}'`);
    }
    if (panel.type === "row") continue;
    if (!(panel.targets?.length > 0)) wrong.push(`'${panel.title}' asks nothing`);
    for (const one of [panel, ...(panel.targets ?? [])]) {
        if (one.datasource?.uid !== "${datasource}") wrong.push(`'${panel.title}' is bound to one data source`);
    }
}
for (const name of ["datasource", "prefix"]) {
    if (!dashboard.templating.list.some((variable) => variable.name === name)) wrong.push(`there is no variable ${name}`);
}
if (wrong.length > 0) {
    console.error(`${file}: ${wrong.join("; ")}`);
    process.exit(1);
}

const imports = `
import type { Dashboard, Panel, RowPanel } from "@grafana/grafana-foundation-sdk/dashboard";
import type { Dataquery } from "@grafana/grafana-foundation-sdk/prometheus";
type Query = Omit<Plain<Dataquery>, \`_\${string}\`>;
type Asking = Omit<Plain<Panel>, "targets"> & { targets: Query[] };
type Whole = Omit<Plain<Dashboard>, "panels">;
`;
const { panels, ...rest } = dashboard;
const rows = panels.filter((panel) => panel.type === "row");
const asking = panels.filter((panel) => panel.type !== "row");
compare(modules, imports, [
    { name: "dashboard", type: "Whole", data: rest, where: file },
    { name: "rows", type: "Plain<RowPanel>[]", data: rows, where: `rows of ${file}` },
    { name: "panels", type: "Asking[]", data: asking, where: `panels of ${file}` },
]);
console.log(`${panels.length} panels are as Grafana's types`);
