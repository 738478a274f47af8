// openapi.mjs FILE: whether a document is OpenAPI, by an independent validator. Exit 1: it is not.
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";

const validator = new Validator();
const result = await validator.validate(JSON.parse(readFileSync(process.argv[2], "utf8")));
console.log(result.valid ? `OpenAPI ${validator.version}` : JSON.stringify(result.errors));
process.exitCode = result.valid ? 0 : 1;
