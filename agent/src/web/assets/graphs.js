// Flame graphs of a process or of all: which kind, over which time, searched and zoomed.

import { get } from "./api.js";
import { h, replace } from "./dom.js";
import { Flame } from "./flame.js";
import { tabs } from "./process.js";
import { clock, count, duration, visible, weight } from "./text.js";

const KINDS = [
  ["descriptors", "descriptors opened"],
  ["descriptors-alive", "descriptors still open"],
  ["spawns", "processes started"],
  ["connections", "connections"],
  ["blocking", "blocking calls"],
  ["off-cpu", "off the CPU"],
  ["on-cpu", "on the CPU"],
  ["mapped", "memory still mapped"],
  ["mapped-all", "memory mapped"],
  ["read", "bytes read"],
  ["written", "bytes written"],
];
const WINDOWS = [["", "since it is watched"], ["5", "5 seconds from now"], ["15", "15 seconds from now"],
  ["60", "1 minute from now"], ["300", "5 minutes from now"]];
const FORMATS = ["svg", "folded", "speedscope", "pprof"];

export function graphs(root, { pid, what, query }, { signal }) {
  let profile = null;
  let asked = null;

  const choose = (label, options, chosen, change) => {
    const select = h("select", { onchange: (event) => change(event.target.value) },
      options.map(([value, name]) => h("option", { value, selected: value === chosen }, name)));
    return h("label", {}, h("span", {}, label), select);
  };
  const base = pid ? `#/process/${pid}/graph/` : "#/graph/";
  const kind = choose("Graph of", KINDS, what, (value) => { location.hash = base + value; });
  let seconds = "";
  const time = choose("Time", WINDOWS, "", (value) => { seconds = value; read(); });
  const again = h("button", { type: "button", onclick: () => read() }, "Read again");
  const search = h("input", { type: "search", value: query.get("search") ?? "", placeholder: "function or file.py:42" });
  const matched = h("output", { class: "matched" });
  const reset = h("button", { type: "button", disabled: true, onclick: () => flame.zoom(null) }, "Whole graph");
  const status = h("p", { class: "status", role: "status" });
  const info = h("p", { class: "info", "aria-live": "polite" });
  const picture = h("div", { class: "flame" });
  const links = h("p", { class: "links" });
  const named = KINDS.find(([name]) => name === what)?.[1] ?? what;
  const title = h("h1", {}, pid ? `process ${pid}` : "All processes");

  const flame = new Flame(picture, {
    signal,
    told(node) {
      replace(info, node ? describe(node) : h("span", { class: "muted" },
        "Arrow keys move, Enter zooms, Escape shows the whole, / searches."));
    },
    zoomed(node) {
      reset.disabled = !node;
    },
    matched(share) {
      matched.textContent = share == null ? "" : `${(share * 100).toFixed(1)} % matches`;
    },
  });

  const describe = (node) => [
    h("strong", {}, h("bdi", {}, node.frame.name)), " ",
    node.frame.file && h("bdi", { class: "muted" }, `${node.frame.file}:${node.frame.line}`), " ",
    `${weight(node.value, profile.unit)}, ${((node.value / profile.total) * 100).toFixed(1)} %`,
  ];

  root.append(
    h("p", { class: "crumbs" }, h("a", { href: "#/" }, "Overview"),
      pid ? [" / ", h("a", { href: `#/process/${pid}` }, `process ${pid}`)] : " / all processes"),
    title, pid ? tabs(pid, what) : "",
    h("h2", { class: "unseen" }, `Flame graph of ${named}`),
    h("form", { class: "controls", role: "search", onsubmit: (event) => event.preventDefault() },
      kind, time, again,
      h("label", { class: "grow" }, h("span", {}, "Search"), search), matched, reset),
    status, picture, info,
    h("p", { class: "legend muted" }, h("i", { class: "swatch own" }), "your code ",
      h("i", { class: "swatch package" }), "packages ", h("i", { class: "swatch stdlib" }), "standard library"),
    links);
  flame.options.told(null);

  search.addEventListener("input", () => flame.search(search.value));
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName)) {
      event.preventDefault();
      search.focus();
    }
  }, { signal });

  async function read() {
    asked?.abort();
    asked = new AbortController();
    signal.addEventListener("abort", () => asked.abort());
    const parameters = new URLSearchParams({ what, ...(pid && { pid }), ...(seconds && { seconds }) });
    const mine = asked.signal;
    const stop = countdown(Number(seconds), mine);
    picture.setAttribute("aria-busy", "true");
    try {
      profile = await get(`/api/v1/profile?${parameters}`, mine);
      draw();
    } catch (error) {
      if (error.name !== "AbortError") status.textContent = visible(`The profile did not come: ${error.message}`);
    } finally {
      stop();
      if (!mine.aborted) picture.removeAttribute("aria-busy");
    }
    replace(links, "Save as ", FORMATS.map((format) =>
      h("a", { href: `/api/v1/profile?${parameters}&format=${format}`, download: true }, format)));
  }

  function countdown(total, mine) {
    if (!total) {
      status.textContent = "reading";
      return () => {};
    }
    const until = Date.now() + total * 1000;
    const tell = () => {
      if (mine.aborted) return;
      status.textContent = `collecting for ${Math.max(0, Math.ceil((until - Date.now()) / 1000))} s more`;
    };
    tell();
    const timer = setInterval(tell, 1000);
    return () => clearInterval(timer);
  }

  function draw() {
    const { window } = profile;
    const lost = profile.events_lost ? `, ${count(profile.events_lost)} events lost` : "";
    const rest = profile.rest ? `, ${weight(profile.rest, profile.unit)} in stacks too small to tell` : "";
    const what = profile.total ? weight(profile.total, profile.unit) : profile.nothing;
    status.textContent = visible(`${what} in ${duration(window.seconds)} until ${clock(window.end)}` +
      `${rest}${lost}${profile.note ? `; ${profile.note}` : ""}`);
    flame.draw(profile);
    flame.search(search.value);
  }

  read();
  if (pid) {
    get(`/api/v1/processes/${pid}`, signal)
      .then((answer) => replace(title, h("bdi", {}, answer.process.service || `process ${pid}`)))
      .catch((error) => signal.failed(error));
  }
}
