/** `npm run docs`: writes the parts of docs/ that are made from tables in the code. A test holds both equal. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { generatedPages } from "./generated-pages.js";

for (const { path, text } of generatedPages()) writeFileSync(join(import.meta.dirname, "..", path), text);
