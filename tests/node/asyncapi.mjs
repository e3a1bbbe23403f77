// Judges an AsyncAPI document (JSON, on stdin) by the official parser; exit 1 where it finds an error or a warning.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const found = diagnostics.filter(({ severity }) => severity < 2); // 0 error, 1 warning, 2 information
for (const { code, path, message } of found) console.error(`${code} at ${path.join(".")}: ${message}`);
if (!document || found.length) process.exit(1);
console.log(`AsyncAPI ${document.version()}: ${document.channels().length} channels, nothing found`);
