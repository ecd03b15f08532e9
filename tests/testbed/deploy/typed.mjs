// Compares data with TypeScript's types: a literal may have no field that its type has not, and must have all that it wants.

import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// Enums of strings take plain strings, as files have them.
const PLAIN = `
type Plain<T> = 0 extends 1 & T ? any : T extends string ? \`\${T}\` : T extends (infer U)[] ? Plain<U>[]
    : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
`;

/**
 * Ends the process with the compiler's words where data is not as its type.
 * @param modules the folder with node_modules
 * @param imports lines of imports and types
 * @param values {name, type, data, where}: `name` an identifier, `where` it comes from
 */
export function compare(modules, imports, values) {
    const folder = join(modules, "checked");
    mkdirSync(folder, { recursive: true });
    const literals = values.map(({ name, type, data, where }) =>
        `// ${where}\nexport const ${name}: ${type} = ${JSON.stringify(data, null, 2)};\n`);
    writeFileSync(join(folder, "data.ts"), `${imports}\n${PLAIN}\n${literals.join("\n")}`);
    writeFileSync(join(folder, "package.json"), '{"type":"module"}\n');
    const compilerOptions = {
        noEmit: true, strict: true, skipLibCheck: true, target: "es2022", module: "nodenext", moduleResolution: "nodenext", types: [],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["data.ts"] }));
    const compiler = join(modules, "node_modules/typescript/bin/tsc");
    try {
        execFileSync(process.execPath, [compiler, "--project", folder], { stdio: "pipe" });
    } catch (error) {
        console.error(`${error.stdout}${error.stderr}`);
        console.error(`the lines are those of ${join(folder, "data.ts")}: ${values.map(({ where }) => where).join(", ")}`);
        process.exit(1);
    }
}
