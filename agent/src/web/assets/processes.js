// The overview: what is wrong, and who is watched.

import { get, poll } from "./api.js";
import { bar, figure, h, replace, sync } from "./dom.js";
import { list } from "./findings.js";
import { bytes, count, duration } from "./text.js";

const ROWS = 400;

export function overview(root, _parameters, { signal, told }) {
  const summary = h("dl", { class: "figures", "aria-label": "Summary" });
  const found = h("ol", { class: "cards", "aria-label": "Findings" });
  const none = h("p", { class: "empty" }, "Nothing found so far. A leak takes some seconds to show.");
  const filter = h("input", { type: "search", "aria-label": "Filter processes", placeholder: "Filter" });
  const body = h("tbody");
  const more = h("p", { class: "muted" });
  root.append(
    h("h1", { class: "unseen" }, "Overview"),
    summary,
    h("div", { class: "columns" },
      h("section", { "aria-labelledby": "found" }, h("h2", { id: "found" }, "Findings"), none, found),
      h("section", { "aria-labelledby": "watched" },
        h("div", { class: "row" }, h("h2", { id: "watched" }, "Processes"), filter),
        h("div", { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": "watched" },
          h("table", {},
            h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Service"),
              h("th", { scope: "col", class: "number" }, "pid"),
              h("th", { scope: "col" }, "Descriptors"),
              h("th", { scope: "col", class: "number" }, "Memory"),
              h("th", { scope: "col", class: "number wide" }, "CPU"),
              h("th", { scope: "col", class: "number" }, "Findings"))),
            body)), more)));

  let findings = [];
  let processes = [];
  let lost = 0;
  let before = new Map();

  const drawFindings = () => {
    none.hidden = findings.length > 0;
    list(found, findings, true);
    const of = (severity) => findings.filter((one) => one.severity === severity).length;
    const bad = ["critical", "high", "medium", "low"].filter(of)
      .map((severity) => h("span", { class: `tag ${severity}` }, `${of(severity)} ${severity}`));
    replace(summary,
      figure("Processes", count(processes.length)),
      figure("Findings", count(findings.length), " ", bad),
      figure("Events lost", count(lost)));
  };
  const drawProcesses = () => {
    const wanted = filter.value.toLowerCase();
    const matching = processes.filter((one) =>
      `${one.service} ${one.pid} ${one.cmdline.join(" ")}`.toLowerCase().includes(wanted));
    matching.sort((a, b) => b.findings - a.findings || b.descriptors - a.descriptors || a.pid - b.pid);
    sync(body, matching.slice(0, ROWS), (one) => one.pid, row);
    more.textContent = matching.length > ROWS
      ? `${matching.length - ROWS} more: use the filter`
      : matching.length ? "" : "No process is watched, or none matches.";
  };
  const readFindings = async () => {
    findings = (await get("/api/v1/findings", signal)).findings;
    drawFindings();
  };
  filter.addEventListener("input", drawProcesses);

  const look = poll(2, signal, async () => {
    const answer = await get("/api/v1/processes", signal);
    const now = new Map();
    processes = answer.processes.map((one) => {
      now.set(one.pid, [answer.time, one.cpu_seconds, one.start_time]);
      const last = before.get(one.pid);
      const span = last && last[2] === one.start_time ? answer.time - last[0] : 0;
      const cpu = span > 0 ? (one.cpu_seconds - last[1]) / span : null;
      const { cpu_seconds, ...rest } = one;
      return { ...rest, cpu: cpu == null ? null : Math.round(cpu * 1000) / 10 };
    });
    before = now;
    drawProcesses();
  });
  poll(5, signal, readFindings);
  poll(5, signal, async () => {
    const { events } = await get("/api/v1/health", signal);
    lost = Object.values(events.dropped).reduce((sum, dropped) => sum + dropped, 0);
    drawFindings();
  });
  told.addEventListener("process", look, { signal });
  told.addEventListener("live", () => readFindings().catch(() => {}), { signal });
  told.addEventListener("finding", ({ detail: { change, finding } }) => {
    findings = findings.filter((one) => one.id !== finding.id);
    if (change !== "withdrawn") findings.push(finding);
    drawFindings();
  }, { signal });
}

function row(one) {
  const share = one.descriptor_limit ? `of ${count(one.descriptor_limit)}` : "";
  const level = one.descriptor_limit && one.descriptors > one.descriptor_limit * 0.8 ? "hot" : "fill";
  return h("tr", {},
    h("th", { scope: "row" },
      h("a", { href: `#/process/${one.pid}`, title: one.cmdline.join(" ") }, h("bdi", {}, one.service || "?")),
      h("span", { class: "muted wide" }, ` ${one.python}`)),
    h("td", { class: "number" }, String(one.pid)),
    h("td", { title: `${count(one.descriptors)} ${share}` }, h("div", { class: "gauge" },
      h("span", {}, count(one.descriptors)),
      bar(`${one.descriptors} descriptors ${share}`, [[level, one.descriptors]], one.descriptor_limit ?? 0))),
    h("td", { class: "number" }, bytes(one.resident_bytes)),
    h("td", { class: "number wide" }, one.cpu == null ? "–" : `${one.cpu.toFixed(1)} %`),
    h("td", { class: "number" }, one.findings
      ? h("span", { class: `tag ${one.severity}` }, count(one.findings))
      : h("span", { class: "muted" }, "0")));
}

export function identity(one, watched) {
  return h("p", { class: "facts muted" },
    h("span", {}, `pid ${one.pid}`), h("span", {}, `CPython ${one.python || "?"}`),
    one.parent && h("span", {}, "child of ", h("a", { href: `#/process/${one.parent}` }, String(one.parent))),
    h("span", {}, `watched for ${duration(watched)}`),
    one.state === "ended" && h("strong", {}, "ended"));
}
