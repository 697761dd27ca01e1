// The page: which view the address names, and what the agent tells.

import { get, listen } from "./api.js";
import { h, replace } from "./dom.js";
import { stack } from "./findings.js";
import { graphs } from "./graphs.js";
import { health } from "./health.js";
import { process } from "./process.js";
import { overview } from "./processes.js";
import { visible } from "./text.js";

const view = document.getElementById("view");
const live = document.getElementById("live");
const news = document.getElementById("news");

// Views listen here for what the agent tells: "finding", "process", "live".
const told = new EventTarget();

const ROUTES = [
  [/^\/$/, () => [overview, {}, "overview"]],
  [/^\/health$/, () => [health, {}, "agent"]],
  [/^\/graph\/([a-z-]+)$/, ([what]) => [graphs, { what }, `graph of ${what}`]],
  [/^\/stack\/([0-9a-f]{16})$/, ([id]) => [frames, { id }, "stack"]],
  [/^\/process\/(\d+)$/, ([pid]) => [process, { pid }, `process ${pid}`]],
  [/^\/process\/(\d+)\/graph\/([a-z-]+)$/,
    ([pid, what]) => [graphs, { pid, what }, `graph of ${what}, process ${pid}`]],
];

let current = null;

function address() {
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  return [path || "/", new URLSearchParams(query ?? "")];
}

function show() {
  const [path, query] = address();
  const found = ROUTES.map(([pattern, make]) => [path.match(pattern), make]).find(([m]) => m);
  const [make, parameters, title] = found
    ? found[1](found[0].slice(1))
    : [missing, {}, "not found"];
  const key = path;
  // A view may change its own query.
  if (current?.key === key && current.query === query.toString()) return;
  const moved = current && current.key !== key;
  current?.abort.abort();
  const abort = new AbortController();
  abort.signal.failed = (error) => failed(error, abort.signal);
  current = { key, query: query.toString(), abort };
  document.title = `${title} · pitviper`;
  for (const link of document.querySelectorAll(".bar nav a")) {
    const section = link.hash.slice(1).split("/")[1];
    if (section === path.split("/")[1]) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  replace(view);
  make(view, { ...parameters, query }, { signal: abort.signal, told });
  if (moved) {
    window.scrollTo(0, 0);
    view.focus({ preventScroll: true });
  }
}

// A stack by its id, as exemplars of metrics have it.
async function frames(root, { id }, { signal }) {
  root.append(h("h1", {}, "Stack"), h("p", { class: "muted" }, id));
  try {
    root.append(stack((await get(`/api/v1/stacks/${id}`, signal)).frames));
  } catch (error) {
    if (!signal.aborted) root.append(h("p", { class: "empty" }, error.message));
  }
}

function missing(root) {
  root.append(h("p", { class: "empty" }, "There is no such page. ", h("a", { href: "#/" }, "Overview")));
}

function failed(error, signal) {
  if (signal.aborted || error.status !== 404) return;
  signal.stopped = true;
  replace(view, h("p", { class: "empty" }, "There is no such process, or not any more. ",
    h("a", { href: "#/" }, "Overview")));
}

const STATES = {
  connecting: "connecting",
  live: "live",
  lost: "no connection, trying again",
};

listen({
  state(state) {
    live.className = `live ${state}`;
    live.textContent = STATES[state];
    if (state === "live") told.dispatchEvent(new Event("live"));
  },
  finding(change) {
    const { finding } = change;
    news.textContent = visible(`${change.change}: ${finding.kind} in ${finding.service}`);
    told.dispatchEvent(new CustomEvent("finding", { detail: change }));
  },
  process(change) {
    told.dispatchEvent(new CustomEvent("process", { detail: change }));
  },
});

window.addEventListener("hashchange", show);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  view.focus();
});
show();
