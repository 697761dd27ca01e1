// Findings, as cards.

import { h, sync } from "./dom.js";
import { clock, count, duration, measure, owner, shortFile, visible } from "./text.js";

// Where to look for a finding's cause.
const GRAPHS = {
  "fd-leak": "descriptors-alive",
  "fd-headroom": "descriptors-alive",
  "unclosed-resource": "descriptors",
  "event-loop-churn": "descriptors",
  "subprocess-storm": "spawns",
  "process-leak": "spawns",
  "connection-churn": "connections",
  "retry-storm": "connections",
  "event-loop-blocked": "blocking",
  "slow-call": "blocking",
  "serial-server": "blocking",
  "missing-timeout": "blocking",
  "busy-poll": "on-cpu",
  "thread-sprawl": "on-cpu",
  "directory-scan-storm": "on-cpu",
  "repeated-read": "read",
  "whole-file-read": "read",
  "write-storm": "written",
  "unbounded-append": "written",
  "misplaced-file": "written",
  "memory-growth": "mapped",
  "memory-spike": "mapped-all",
  "idle-memory": "mapped",
};

const SEVERITIES = ["critical", "high", "medium", "low"];

const opened = new Set();

export function rank(finding) {
  return SEVERITIES.indexOf(finding.severity) + (finding.confidence === "confirmed" ? 0 : 10) +
    (finding.alive ? 0 : 100);
}

// Brings the list in line with the findings, the worst first. `about` is false where it is plain
// which process they are about.
export function list(parent, findings, about) {
  const sorted = [...findings].sort((a, b) => rank(a) - rank(b) || a.first_seen - b.first_seen);
  const shown = sorted.map(({ last_seen, ...finding }) => finding);
  sync(parent, shown, (finding) => finding.id, (finding) => card(finding, about));
}

export function graphOf(finding) {
  const search = finding.site
    ? `?search=${encodeURIComponent(`${shortFile(finding.site.file)}:${finding.site.line}`)}`
    : "";
  return `#/process/${finding.pid}/graph/${GRAPHS[finding.kind] ?? "on-cpu"}${search}`;
}

// Characters of a file's and of a function's name in a list; the whole is in the tip.
const NAME = 72;

export function place(frame) {
  if (!frame) return h("span", { class: "muted" }, "no Python line");
  const file = visible(shortFile(frame.file), NAME) || "?";
  return h("span", { class: `place ${owner(frame.file)}`, title: `${frame.file}:${frame.line}` },
    h("bdi", { class: "at" }, frame.line ? `${file}:${frame.line}` : file), " ",
    h("bdi", { class: "in" }, visible(frame.qualname ?? frame.function, NAME)));
}

function card(finding, about) {
  const details = h("details", {
    ontoggle: (event) => opened[event.target.open ? "add" : "delete"](finding.id),
  },
    h("summary", {}, "details"),
    evidence(finding.evidence),
    stack(finding.stack));
  details.open = opened.has(finding.id);
  return h("li", { class: finding.alive ? "card" : "card past" },
    h("p", { class: "head" },
      h("span", { class: `tag ${finding.severity}` }, finding.severity),
      h("strong", {}, finding.kind),
      finding.confidence === "suspected" && h("em", {}, "suspected"),
      !finding.alive && h("em", {}, "process ended"),
      place(finding.site),
      h("span", { class: "when muted" }, `since ${clock(finding.first_seen)}`)),
    h("p", { class: "what" }, finding.summary),
    h("p", { class: "what muted" }, finding.advice),
    h("div", { class: "links" },
      about && h("a", { href: `#/process/${finding.pid}` }, h("bdi", {}, finding.service || "?"), ` ${finding.pid}`),
      h("a", { href: graphOf(finding) }, "flame graph"),
      details));
}

function evidence(evidence) {
  const rows = Object.entries(evidence).map(([key, value]) => {
    const shown = typeof value === "object" && value ? place(value) : figure(key, value);
    return [h("dt", {}, key.replaceAll("_", " ")), h("dd", {}, shown)];
  });
  return h("dl", { class: "pairs" }, rows);
}

function figure(key, value) {
  if (typeof value !== "number") return value;
  if (/(^|_)seconds(_|$)/.test(key)) return duration(value);
  return Number.isInteger(value) ? count(value) : measure(value);
}

export function stack(frames) {
  if (!frames.length) return h("p", { class: "muted" }, "No Python stack.");
  const shown = frames.slice(0, 128);
  return h("ol", { class: "stack", "aria-label": "Stack, innermost first" },
    shown.map((frame) => h("li", {}, place(frame))),
    frames.length > shown.length && h("li", { class: "muted" }, `${frames.length - shown.length} more`));
}
