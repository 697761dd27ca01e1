// A flame graph from the root down, drawn as SVG: zoom, search, and a keyboard's way through it.

import { replace, s } from "./dom.js";
import { owner, shortFile, visible, weight } from "./text.js";

const ROW = 20;
const LETTER = 7.3;
const NARROWEST = 1.5;
const MOST = 4000;

export class Flame {
  // `options`: signal, told(node or null), zoomed(node or null), matched(share or null).
  constructor(root, options) {
    this.root = root;
    this.options = options;
    this.wanted = "";
    this.svg = s("svg", { role: "tree", tabindex: 0, "aria-label": "Flame graph" });
    root.append(this.svg);
    const on = (name, listener) => this.svg.addEventListener(name, listener);
    on("click", (event) => this.#at(event, (node) => this.zoom(node)));
    on("pointermove", (event) => this.#at(event, (node) => options.told(node)));
    on("pointerleave", () => options.told(document.activeElement === this.svg ? this.current : null));
    on("focus", () => this.#choose(this.current ?? this.top));
    on("blur", () => this.svg.querySelector(".current")?.classList.remove("current"));
    on("keydown", (event) => this.#key(event));
    const observer = new ResizeObserver(() => this.#paint());
    observer.observe(root);
    options.signal.addEventListener("abort", () => observer.disconnect());
  }

  draw(profile) {
    this.profile = profile;
    this.whole = tree(profile);
    this.current = null;
    this.zoom(null);
  }

  // The node to fill the width with; null for the whole.
  zoom(node) {
    if (!this.whole) return;
    this.top = !node || node === this.whole ? this.whole : node;
    this.current = this.top;
    this.#paint();
    this.options.zoomed(this.top === this.whole ? null : this.top);
    this.options.told(this.top === this.whole ? null : this.top);
  }

  search(text) {
    this.wanted = text.trim().toLowerCase();
    this.#paint();
    if (!this.whole) return;
    const { value } = this.whole;
    this.options.matched(this.wanted && value ? this.#weigh(this.whole) / value : null);
  }

  #matches(node) {
    return this.wanted !== "" && node.text.includes(this.wanted);
  }

  // The weight of what matches; a match below another counts once.
  #weigh(node) {
    if (this.#matches(node)) return node.value;
    return node.children.reduce((sum, child) => sum + this.#weigh(child), 0);
  }

  #paint() {
    const width = this.root.clientWidth;
    if (!this.whole || !width) return;
    const above = [];
    for (let node = this.top.parent; node; node = node.parent) above.unshift(node);
    const boxes = above.map((node, depth) => ({ node, depth, x: 0, width, above: true }));
    let row = [{ node: this.top, x: 0, width }];
    for (let depth = above.length; row.length && boxes.length < MOST; depth += 1) {
      const next = [];
      for (const { node, x, width } of row) {
        boxes.push({ node, depth, x, width });
        let left = x;
        for (const child of node.children) {
          const share = (child.value / node.value) * width;
          if (share >= NARROWEST) next.push({ node: child, x: left, width: share });
          left += share;
        }
      }
      row = next;
    }
    const deepest = boxes.reduce((most, box) => Math.max(most, box.depth), 0);
    this.svg.setAttribute("height", (deepest + 1) * ROW);
    this.svg.setAttribute("width", width);
    this.drawn = new Map();
    replace(this.svg, boxes.slice(0, MOST).map((box) => this.#box(box)));
    if (document.activeElement === this.svg) this.#choose(this.current);
  }

  #box({ node, depth, x, width, above }) {
    const kinds = [node.owner, `tone${node.tone}`];
    if (above) kinds.push("above");
    if (this.wanted) kinds.push(this.#matches(node) ? "match" : "miss");
    const id = `node-${this.drawn.size}`;
    const group = s("g", { id, class: kinds.join(" "), role: "treeitem", "aria-level": depth + 1,
      "aria-label": this.#label(node), transform: `translate(${x.toFixed(2)} ${depth * ROW})` },
      s("rect", { width: Math.max(width - 1, 0.5).toFixed(2), height: ROW - 1, rx: 1.5 }));
    const letters = Math.floor((width - 8) / LETTER);
    if (letters >= 3) {
      const shown = node.name.length > letters ? `${node.name.slice(0, letters - 1)}…` : node.name;
      group.append(s("text", { x: 4, y: ROW - 6.5, "aria-hidden": "true" }, shown));
    }
    group.node = node;
    this.drawn.set(node, group);
    return group;
  }

  #label(node) {
    const share = ((node.value / (this.whole.value || 1)) * 100).toFixed(1);
    return `${node.name}, ${weight(node.value, this.profile.unit)}, ${share} %`;
  }

  #at(event, then) {
    const group = event.target.closest("g");
    if (group?.node) then(group.node);
  }

  #choose(node) {
    if (!node) return;
    this.current = node;
    this.svg.querySelector(".current")?.classList.remove("current");
    const group = this.drawn?.get(node);
    if (!group) return;
    group.classList.add("current");
    this.svg.setAttribute("aria-activedescendant", group.id);
    this.options.told(node);
    const box = group.getBoundingClientRect();
    if (box.top < 0 || box.bottom > innerHeight) group.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    const node = this.current;
    if (!node) return;
    const shown = (other) => this.drawn.has(other);
    const beside = (step) => {
      const row = node.parent?.children.filter(shown) ?? [];
      return row[row.indexOf(node) + step];
    };
    const moves = {
      ArrowDown: () => this.#choose(node.children.find(shown)),
      ArrowUp: () => this.#choose(node.parent),
      ArrowLeft: () => this.#choose(beside(-1)),
      ArrowRight: () => this.#choose(beside(1)),
      Home: () => this.#choose(this.top),
      Enter: () => this.zoom(node),
      " ": () => this.zoom(node),
      Escape: () => this.zoom(null),
    };
    if (!moves[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    moves[event.key]();
  }
}

// The stacks as a tree, the heaviest child first.
function tree(profile) {
  const whole = make({ name: "all", file: null, line: 0 }, null);
  whole.value = profile.total;
  for (const stack of profile.stacks) {
    let node = whole;
    for (const index of stack.frames) {
      let child = node.named.get(index);
      if (!child) {
        child = make(profile.frames[index], node);
        node.named.set(index, child);
        node.children.push(child);
      }
      child.value += stack.weight;
      node = child;
    }
  }
  const order = [whole];
  for (const node of order) {
    node.children.sort((a, b) => b.value - a.value);
    for (const child of node.children) order.push(child);
  }
  return whole;
}

function make(frame, parent) {
  const at = frame.file ? ` ${shortFile(frame.file)}${frame.line ? `:${frame.line}` : ""}` : "";
  const name = visible(frame.name + at);
  return {
    frame, parent, name, value: 0, children: [], named: new Map(),
    text: `${frame.name} ${frame.file ?? ""}:${frame.line}`.toLowerCase() + name.toLowerCase(),
    owner: owner(frame.file), tone: tone(name),
  };
}

function tone(name) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return sum % 4;
}
