// Text for people. Every string of a target goes through `visible`: what acts or hides is spelt out.

const LIMIT = 400;

// The same characters as `export::visible` of the program.
const HIDDEN =
  /[\p{Cc}\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\u{e0000}-\u{e007f}]/u;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export function visible(value, limit = LIMIT) {
  const text = String(value ?? "");
  // Names of megabytes are cut before they are taken apart.
  const characters = [...text.slice(0, limit * 2)];
  const shown = characters.slice(0, limit).map(spell).join("");
  const rest = text.length - characters.slice(0, limit).join("").length;
  return rest > 0 ? `${shown}…(+${rest})` : shown;
}

function spell(character) {
  if (!HIDDEN.test(character)) return character;
  if (SHORT[character]) return SHORT[character];
  const code = character.codePointAt(0);
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${code.toString(16).padStart(8, "0")}`;
}

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export function count(number) {
  return number == null ? "–" : WHOLE.format(number);
}

export function measure(number) {
  return Math.abs(number) >= 100 ? WHOLE.format(number) : TENTHS.format(number);
}

export function bytes(number) {
  if (number == null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let power = 0;
  while (number >= 1024 && power < units.length - 1) {
    number /= 1024;
    power += 1;
  }
  return `${power && number < 100 ? number.toFixed(1) : WHOLE.format(number)} ${units[power]}`;
}

// Two units at most: "3 min 20 s".
export function duration(seconds) {
  if (seconds == null) return "–";
  if (seconds < 0.001) return seconds > 0 ? "< 1 ms" : "0 s";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  let rest = Math.round(seconds);
  const first = parts.findIndex(([size]) => rest >= size);
  const words = [];
  for (const [size, unit] of parts.slice(first, first + 2)) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole) words.push(`${whole} ${unit}`);
  }
  return words.join(" ");
}

// A weight of a graph in its unit.
export function weight(number, unit) {
  if (unit === "bytes") return bytes(number);
  if (unit === "µs") return duration(number / 1e6);
  return `${count(number)} ${number === 1 ? SINGULAR[unit] ?? unit : unit}`;
}

const SINGULAR = { descriptors: "descriptor", processes: "process", connections: "connection", samples: "sample" };

export function clock(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString("en-GB");
}

// `sessions.py`; with its directory where the name alone says nothing.
export function shortFile(file) {
  const parts = file.split("/");
  const name = parts.pop();
  return /^__(init|main)__\.py$/.test(name) && parts.length ? `${parts.pop()}/${name}` : name;
}

// Whose code a file is.
export function owner(file) {
  if (!file) return "none";
  if (/\/(site|dist)-packages\//.test(file)) return "package";
  if (/\/lib\/python3\.\d+t?\/|^<frozen /.test(file)) return "stdlib";
  return "own";
}
