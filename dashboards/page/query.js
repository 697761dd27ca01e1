// Asks Prometheus what a panel asks, and gives Grafana's frames.

import { FieldType, toDataFrame } from "@grafana/data";

const LABEL = /\{\{\s*([\w]+)\s*\}\}/g;

// `$name` and `${name}` as Grafana writes them into a query.
export function substituted(text, variables) {
  return Object.entries(variables).reduce(
    (result, [name, value]) => result.replaceAll(`$${name}`, value).replaceAll(`\${${name}}`, value),
    text,
  );
}

async function ask(path, parameters) {
  const answer = await fetch(`/prometheus/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const body = await answer.json();
  if (body.status !== "success") throw new Error(`${parameters.query}: ${body.error}`);
  return body.data.result;
}

function legend(target, labels) {
  const name = target.legendFormat.replace(LABEL, (_, label) => labels[label] ?? "").trim();
  return name || Object.values(labels).join(" ");
}

async function series(target, query, range) {
  const { from, to, step } = range;
  const found = target.instant
    ? (await ask("query", { query, time: to })).map((one) => ({ ...one, values: [one.value] }))
    : await ask("query_range", { query, start: from, end: to, step });
  return found.map(({ metric, values }) => {
    const at = new Map(values.map(([time, value]) => [Math.round(time / step), Number(value)]));
    const first = target.instant ? Math.round(to / step) : Math.ceil(from / step);
    const steps = Array.from({ length: Math.round(to / step) - first + 1 }, (_, index) => first + index);
    const name = legend(target, metric);
    return toDataFrame({
      refId: target.refId,
      name,
      fields: [
        { name: "Time", type: FieldType.time, values: steps.map((one) => one * step * 1000) },
        {
          name: "Value",
          type: FieldType.number,
          values: steps.map((one) => (Number.isFinite(at.get(one)) ? at.get(one) : null)),
          labels: metric,
          config: { displayNameFromDS: name },
        },
      ],
    });
  });
}

async function table(target, query, range, alone) {
  const found = await ask("query", { query, time: range.to });
  const labels = [...new Set(found.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return [
    toDataFrame({
      refId: target.refId,
      fields: [
        { name: "Time", type: FieldType.time, values: found.map(() => range.to * 1000) },
        ...labels.map((name) => ({
          name,
          type: FieldType.string,
          values: found.map(({ metric }) => metric[name] ?? ""),
        })),
        {
          name: alone ? "Value" : `Value #${target.refId}`,
          type: FieldType.number,
          values: found.map(({ value }) => Number(value[1])),
        },
      ],
    }),
  ];
}

// The frames of all queries of a panel.
export async function frames(panel, variables, range) {
  const alone = panel.targets.length === 1;
  const asked = panel.targets.map((target) => {
    const query = substituted(target.expr, variables);
    return target.format === "table"
      ? table(target, query, range, alone)
      : series(target, query, range);
  });
  return (await Promise.all(asked)).flat();
}
