// Holds dashboards against the types that Grafana itself is built from, unknown keys rejected: the
// dashboard, and of each panel the options and the style of its fields, which the dashboard's type
// leaves open.
//
// usage: node schema.mjs DASHBOARD.json…

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import Ajv from "ajv";
import { createGenerator } from "ts-json-schema-generator";

const here = dirname(fileURLToPath(import.meta.url));
const types = join(here, "node_modules/@grafana/schema/dist/types/raw");
const validators = new Map();

function validator(path, type) {
  const key = `${path}#${type}`;
  if (!validators.has(key)) {
    const generator = createGenerator({ path: join(types, path), type, skipTypeCheck: true, additionalProperties: false });
    validators.set(key, new Ajv({ allErrors: true, strict: false }).compile(generator.createSchema(type)));
  }
  return validators.get(key);
}

function faults(path, type, value, where) {
  const validate = validator(path, type);
  if (validate(value)) return [];
  return validate.errors.map((error) => {
    const key = error.params.additionalProperty ?? "";
    return `${where}${error.instancePath} ${error.message} ${key}`.trimEnd();
  });
}

function panelFaults(panel, file) {
  if (panel.type === "row") return [];
  const path = `composable/${panel.type}/panelcfg/x/types.gen.d.ts`;
  const where = `${file}: panel ${panel.id} (${panel.title})`;
  const found = faults(path, "Options", panel.options, `${where} options`);
  if (panel.fieldConfig.defaults.custom) {
    found.push(...faults(path, "FieldConfig", panel.fieldConfig.defaults.custom, `${where} custom`));
  }
  return found;
}

const found = [];
for (const file of process.argv.slice(2)) {
  const dashboard = JSON.parse(readFileSync(file, "utf8"));
  found.push(...faults("dashboard/x/types.gen.d.ts", "Dashboard", dashboard, `${file}: `));
  for (const panel of dashboard.panels) found.push(...panelFaults(panel, file));
}
// What has to be rejected is rejected: a schema that lets everything through proves nothing.
const broken = JSON.parse(readFileSync(process.argv[2], "utf8"));
broken.panels[1].gridpos = {};
broken.panels[1].options.colourMode = "value";
const told = [
  ...faults("dashboard/x/types.gen.d.ts", "Dashboard", broken, ""),
  ...panelFaults(broken.panels[1], ""),
].join("\n");
for (const key of ["gridpos", "colourMode"]) {
  if (!told.includes(key)) found.push(`the schema does not reject an unknown ${key}`);
}
for (const fault of found) console.error(fault);
process.exit(found.length === 0 ? 0 : 1);
