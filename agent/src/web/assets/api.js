// The agent's API: answers as JSON, and what changes as events.

export async function get(path, signal) {
  const answer = await fetch(path, { signal, cache: "no-store" });
  if (answer.ok) return answer.json();
  let told = `${answer.status}`;
  try {
    told = (await answer.json()).error ?? told;
  } catch {
    // What is no JSON says no more than its status.
  }
  throw Object.assign(new Error(told), { status: answer.status });
}

// Calls `look` now and every `seconds`, while the page can be seen, until the signal. One call at a time.
export function poll(seconds, signal, look) {
  let timer = 0;
  let looking = false;
  const again = async () => {
    clearTimeout(timer);
    if (signal.aborted || looking) return;
    looking = true;
    if (!document.hidden) {
      try {
        await look();
      } catch (error) {
        if (error.name !== "AbortError") signal.failed?.(error);
      }
    }
    looking = false;
    if (!signal.aborted) timer = setTimeout(again, seconds * 1000);
  };
  document.addEventListener("visibilitychange", () => document.hidden || again(), { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  again();
  return again;
}

const LONGEST_PAUSE = 10_000;

// Listens for events while the page can be seen, and connects again whenever the connection ends: a
// browser has few connections to one host, and other tabs need them. `heard.state` is told
// "connecting", "live" or "lost"; after each "live" everything has to be read once.
export function listen(heard) {
  let pause = 500;
  let source = null;
  let timer = 0;
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  const connect = () => {
    close();
    if (document.hidden) return;
    source = new EventSource("/api/v1/events");
    source.addEventListener("hello", () => {
      pause = 500;
      heard.state("live");
    });
    source.addEventListener("missed", () => heard.state("live"));
    source.addEventListener("finding", (event) => heard.finding(JSON.parse(event.data)));
    source.addEventListener("process", (event) => heard.process(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      // The browser gives up on a refusal; this does not.
      close();
      heard.state("lost");
      timer = setTimeout(connect, pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    });
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : connect()));
  heard.state("connecting");
  connect();
}
