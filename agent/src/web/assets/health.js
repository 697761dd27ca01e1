// How the agent itself is doing.

import { get, poll } from "./api.js";
import { bar, figure, h, replace } from "./dom.js";
import { bytes, count, duration } from "./text.js";

export function health(root, _parameters, { signal }) {
  const figures = h("dl", { class: "figures" });
  const tables = h("div", { class: "tables" });
  root.append(h("h1", {}, "Agent"), figures, tables);
  let before = null;

  poll(2, signal, async () => {
    const answer = await get("/api/v1/health", signal);
    const span = before ? answer.time - before.time : 0;
    const cpu = span > 0 ? ((answer.cpu_seconds - before.cpu_seconds) / span) * 100 : null;
    if (!before || span > 0) before = answer;
    const { events } = answer;
    const dropped = Object.values(events.dropped).reduce((sum, lost) => sum + lost, 0);
    replace(figures,
      figure("Processes", count(answer.processes)),
      figure("Events", count(events.emitted)),
      figure("Lost", count(dropped), h("small", {}, events.emitted
        ? ` ${((dropped / events.emitted) * 100).toFixed(2)} %` : "")),
      figure("CPU", cpu == null ? "–" : `${cpu.toFixed(1)} %`,
        h("small", { class: "muted" }, ` ${duration(answer.cpu_seconds)} in all`)),
      figure("Memory", bytes(answer.resident_bytes)),
      figure("Running for", duration(answer.uptime_seconds)),
      figure("Last scrape took", duration(answer.scrape_seconds)));
    const causes = Object.entries(events.dropped).filter(([, lost]) => lost);
    replace(tables,
      table("Events by kind", ["Kind", "Emitted", "Received", "Lost"],
        Object.entries(events.by_kind).filter(([, flow]) => flow.emitted).map(([kind, flow]) => [kind, count(flow.emitted),
          count(flow.received), count(Object.values(flow.dropped).reduce((a, b) => a + b, 0))])),
      table("Losses by cause", ["Cause", "Events"],
        causes.length ? causes.map(([cause, lost]) => [cause, count(lost)]) : [["nothing lost", ""]]),
      table("Stacks walked", ["Outcome", "Walks"],
        Object.entries(answer.stacks).map(([outcome, walks]) => [outcome.replaceAll("_", " "), count(walks)])),
      table("Kernel maps", ["Map", "Entries", "Room", ""],
        Object.entries(answer.maps).map(([name, map]) => [name, count(map.entries), count(map.capacity),
          bar(`${map.entries} of ${map.capacity}`, [["fill", map.entries]], map.capacity)])),
      table("Beyond a bound", ["Bound", "Records"],
        Object.entries(answer.overflow).map(([bound, records]) => [bound.replaceAll("_", " "), count(records)])),
      Object.keys(answer.programs).length > 0 && table("Probes", ["Probe", "Runs", "Time"],
        Object.entries(answer.programs).map(([name, run]) => [name, count(run.runs), duration(run.seconds)])));
  });
}

function table(title, heads, rows) {
  return h("section", {}, h("h2", {}, title),
    h("table", {},
      h("thead", {}, h("tr", {}, heads.map((head, index) =>
        h("th", { scope: "col", class: index ? "number" : null }, head)))),
      h("tbody", {}, rows.map(([first, ...rest]) => h("tr", {}, h("th", { scope: "row" }, first),
        rest.map((cell) => h("td", { class: "number" }, cell)))))));
}
