// One process: what it is, what is wrong with it, and what it holds open, by line.

import { get, poll } from "./api.js";
import { bar, figure, h, replace, sparkline, sync } from "./dom.js";
import { list, place, stack } from "./findings.js";
import { identity } from "./processes.js";
import { bytes, count, duration } from "./text.js";

const AGES = ["young", "minute", "tens", "hour", "old"];

export function process(root, { pid }, { signal, told }) {
  const title = h("h1", {}, `process ${pid}`);
  const facts = h("div");
  const figures = h("dl", { class: "figures" });
  const found = h("ol", { class: "cards", "aria-label": "Findings" });
  const findings = h("section", { "aria-labelledby": "found", hidden: true },
    h("h2", { id: "found" }, "Findings"), found);
  const body = h("tbody");
  const note = h("p", { class: "muted" });
  const legend = h("p", { class: "legend muted" });
  // Stacks that are looked at, by line: rows are made anew when their figures change.
  const stacks = new Map();
  const columns = h("div", { class: "columns held alone" });
  root.append(
    h("p", { class: "crumbs" }, h("a", { href: "#/" }, "Overview")),
    title, facts, tabs(pid, null), figures, columns);
  columns.append(
    h("section", { "aria-labelledby": "held" },
      h("div", { class: "row" }, h("h2", { id: "held" }, "Descriptors by line"), legend),
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": "held" },
        h("table", { class: "descriptors" },
          h("thead", {}, h("tr", {},
            h("th", { scope: "col" }, "Line"), h("th", { scope: "col" }, "Kind"),
            h("th", { scope: "col", class: "number" }, "Open"),
            h("th", { scope: "col" }, "Ages"),
            h("th", { scope: "col", class: "number" }, "Oldest"),
            h("th", { scope: "col", class: "number wide" }, "Idle"),
            h("th", { scope: "col", class: "number wide" }, "Opened"),
            h("th", { scope: "col", class: "number wide" }, "Closed"))),
          body)), note), findings);

  poll(2, signal, async () => {
    const answer = await get(`/api/v1/processes/${pid}`, signal);
    draw(answer);
    const held = await get(`/api/v1/processes/${pid}/descriptors`, signal);
    const names = ["10 s", "1 min", "10 min", "1 h"];
    replace(legend, AGES.map((age, index) => [h("i", { class: `swatch ${age}` }),
      index < names.length ? `< ${names[index]} ` : "older"]));
    sync(body, held.lines.map(({ median_seconds, oldest, ...line }) => ({ ...line, fds: oldest })),
      keyOf, row);
    const rest = held.lines_left_out ? ` ${count(held.lines_left_out)} lines more.` : "";
    note.textContent = (held.lines.length ? "" : "No line has opened anything since it is watched. ") +
      `${count(held.before_attach)} of ${count(held.open)} were open before it was watched.${rest}`;
  });
  const readFindings = async () => {
    const answer = await get(`/api/v1/findings?pid=${pid}`, signal);
    findings.hidden = !answer.findings.length;
    columns.classList.toggle("alone", findings.hidden);
    list(found, answer.findings, false);
  };
  poll(5, signal, readFindings);
  told.addEventListener("finding", ({ detail }) => {
    if (String(detail.finding.pid) === pid) readFindings().catch(() => {});
  }, { signal });

  function draw(answer) {
    const one = answer.process;
    replace(title, h("bdi", {}, one.service || `process ${pid}`));
    replace(facts, identity(one, answer.watched_seconds),
      h("p", { class: "command", title: one.executable }, h("bdi", {}, one.cmdline.join(" ") || one.executable)));
    const held = answer.descriptors;
    const kinds = Object.entries(held.by_kind).filter(([, kind]) => kind.used + kind.idle)
      .map(([name, kind]) => `${count(kind.used + kind.idle)} ${name}`).join(", ");
    replace(figures,
      figure("Descriptors", count(held.open),
        h("small", {}, one.descriptor_limit ? ` of ${count(one.descriptor_limit)}` : ""),
        sparkline("descriptors over the last ten minutes", answer.history.descriptors),
        h("small", { class: "muted" }, kinds)),
      figure("Memory", bytes(one.resident_bytes),
        sparkline("memory over the last ten minutes", answer.history.resident_bytes),
        h("small", { class: "muted" }, `${bytes(answer.anonymous_bytes)} anonymous`)),
      figure("Threads", count(one.threads)),
      figure("CPU time", duration(one.cpu_seconds)),
      answer.io_uring ? figure("io_uring", "in use") : null);
  }

  function row(line) {
    const ages = line.ages.map((number, index) => [AGES[index], number]);
    const label = line.ages.map((number, index) =>
      `${number} ${["under 10 s", "under 1 min", "under 10 min", "under 1 h", "older"][index]}`).join(", ");
    const site = h("th", { scope: "row" },
      line.overflow ? h("span", { class: "muted" }, "~other lines") : place(line.site));
    if (line.stack) {
      const key = keyOf(line);
      const open = () => stacks.has(key) && site.append(stacks.get(key));
      const button = h("button", { class: "plain", type: "button", "aria-expanded": String(stacks.has(key)) }, "stack");
      button.addEventListener("click", async () => {
        const shown = stacks.get(key);
        button.setAttribute("aria-expanded", String(!shown));
        if (shown) {
          shown.remove();
          return stacks.delete(key);
        }
        const made = await get(`/api/v1/stacks/${line.stack}`, signal).then((answer) => stack(answer.frames),
          () => h("p", { class: "stack muted" }, "not known any more"));
        stacks.set(key, made);
        // The row may have been made anew meanwhile.
        (body.querySelector(`[data-key="${CSS.escape(key)}"] th`) ?? site).append(made);
      });
      site.append(" ", button);
      open();
    }
    return h("tr", {}, site,
      h("td", {}, line.kind),
      h("td", { class: "number" }, count(line.open)),
      h("td", { class: "ages" }, bar(label, ages, line.open)),
      h("td", { class: "number" }, duration(line.oldest_seconds)),
      h("td", { class: "number wide" }, duration(line.idle_seconds)),
      h("td", { class: "number wide" }, count(line.opened)),
      h("td", { class: "number wide" }, count(line.closed)));
  }
}

// What tells lines apart.
function keyOf(line) {
  return JSON.stringify([line.site, line.kind, line.overflow]);
}

// Links between a process's views.
export function tabs(pid, what) {
  const current = (here) => (here ? { "aria-current": "page" } : {});
  return h("nav", { class: "tabs", "aria-label": "Views of the process" },
    h("a", { href: `#/process/${pid}`, ...current(!what) }, "Descriptors"),
    h("a", { href: `#/process/${pid}/graph/${what ?? "on-cpu"}`, ...current(what) }, "Flame graphs"));
}
