// What Grafana's server registers when it starts: properties that a dashboard can set of a field, and
// the transformations that these dashboards use.

import { Registry, standardTransformers, standardTransformersRegistry } from "@grafana/data";

const PROPERTIES = [
  "unit", "min", "max", "decimals", "displayName", "noValue", "color", "thresholds", "mappings", "links",
];
const CUSTOM = [
  "axisSoftMax", "cellOptions", "drawStyle", "fillOpacity", "lineWidth", "scaleDistribution", "showPoints",
  "spanNulls", "stacking", "width",
];

const property = (id, path, isCustom) => ({
  id,
  path,
  isCustom,
  name: id,
  process: (value) => value,
  shouldApply: () => true,
});

export const fields = new Registry(() => [
  ...PROPERTIES.map((name) => property(name, name, false)),
  ...CUSTOM.map((name) => property(`custom.${name}`, name, true)),
]);

const NAMES = { merge: "mergeTransformer", organize: "organizeFieldsTransformer" };

standardTransformersRegistry.setInit(() =>
  Object.entries(NAMES).map(([id, name]) => ({
    id,
    name: id,
    transformation: async () => standardTransformers[name],
  })),
);
