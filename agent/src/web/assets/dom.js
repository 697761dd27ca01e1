// Elements. Text only ever becomes a text node, made visible on the way.

import { visible } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

// h("td", {class: "number"}, "12"): properties that start with "on" are listeners, false and null are
// left out.
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function s(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : visible(value, 2000));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child == null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(visible(child, 4000)));
  }
}

export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

// Brings the children of `parent` in line with `items`. A child is made anew only when its item has
// changed, so that focus, selection and scrolling stay where they are.
export function sync(parent, items, keyOf, build) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    const signature = JSON.stringify(item);
    let child = old.get(key);
    old.delete(key);
    if (!child || child.signature !== signature) {
      const made = build(item);
      made.dataset.key = key;
      made.signature = signature;
      if (child) {
        const focus = focusWithin(child);
        if (place === child) place = made;
        child.replaceWith(made);
        if (focus >= 0) focusable(made)[focus]?.focus({ preventScroll: true });
      }
      child = made;
    }
    if (place === child) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of old.values()) child.remove();
}

function focusable(element) {
  return [...element.querySelectorAll("a, button, input, select, summary, [tabindex]")];
}

function focusWithin(element) {
  return focusable(element).indexOf(document.activeElement);
}

export function figure(label, value, ...more) {
  return h("div", { class: "figure" }, h("dt", {}, label), h("dd", {}, value, more));
}

// A bar of one or more shares of a whole.
export function bar(label, shares, whole) {
  const track = s("svg", { class: "track", role: "img", "aria-label": label, viewBox: "0 0 100 6",
    preserveAspectRatio: "none" });
  let x = 0;
  for (const [kind, share] of shares) {
    const width = whole > 0 ? Math.min(100 - x, (share / whole) * 100) : 0;
    if (width > 0) track.append(s("rect", { class: kind, x, y: 0, width, height: 6 }));
    x += width;
  }
  return track;
}

export function sparkline(label, points) {
  const chart = s("svg", { class: "spark", role: "img", "aria-label": label, viewBox: "0 0 100 24",
    preserveAspectRatio: "none" });
  if (points.length < 2) return chart;
  const values = points.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const from = points[0][0];
  const span = points.at(-1)[0] - from || 1;
  const x = (time) => (((time - from) / span) * 100).toFixed(1);
  const y = (value) => (22 - (high > low ? ((value - low) / (high - low)) * 20 : 10)).toFixed(1);
  const line = points.map(([time, value]) => `${x(time)},${y(value)}`).join(" ");
  chart.append(s("polyline", { points: line, "vector-effect": "non-scaling-stroke" }));
  return chart;
}
