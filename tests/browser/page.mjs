// Drives the page in Chromium.
//
// usage: page.mjs FOLDER_WITH_PLAYWRIGHT LEAK_URL LEAK_PID LEAK_PLACE HOSTILE_URL HOSTILE_PID PICTURES
//
// Each URL is that of a pitviper that watches the process of that pid.
//
// Says READY when the page listens, and then waits for a leak at LEAK_PLACE ("leak.py:29") to show. Says
// STOP and START when the second pitviper is to be ended and started again, and DONE at the end. Any failure is a line on standard error and a status.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";

const [folder, url, leaking, leak, hostileUrl, hostile, pictures] = process.argv.slice(2);
const { chromium } = createRequire(join(folder, "package.json"))("playwright-core");

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/;

// "A leak appears within 15 s".
const APPEARS = 15_000;

const executablePath = process.env.PATH.split(delimiter).map((place) => join(place, "chromium")).find(existsSync);
// The tests run as root, whom Chromium gives no sandbox.
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const wrong = [];

async function open(width, colorScheme) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.on("console", (said) => ["error", "warning"].includes(said.type()) && wrong.push(said.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("dialog", (dialog) => {
    wrong.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "data:" && ![url, hostileUrl].includes(`${origin}/`)) wrong.push(`a request to ${request.url()}`);
  });
  return page;
}

async function until(page, selector, pattern) {
  const locator = page.locator(selector);
  const last = Date.now() + 10_000;
  for (;;) {
    const text = await locator.textContent();
    if (pattern.test(text)) return;
    assert.ok(Date.now() < last, `${selector} does not say ${pattern} but: ${text}`);
    await page.waitForTimeout(20);
  }
}

async function inert(page) {
  const text = await page.evaluate(() => {
    const labels = [...document.querySelectorAll("[aria-label], [title]")];
    return document.body.textContent + labels.map((element) =>
      `${element.getAttribute("aria-label")} ${element.getAttribute("title")}`).join("\n");
  });
  assert.doesNotMatch(text, HIDDEN, "something hidden is on the page");
  assert.equal(await page.locator("main :is(script, img, b, iframe)").count(), 0, "a name became an element");
  return text;
}

try {
  const page = await open(1280, "light");
  await page.goto(url);
  await page.locator("#live.live").waitFor();
  await page.locator("tbody tr").first().waitFor();
  await page.evaluate(() => { window.sameDocument = true; });
  console.log("READY");

  // The leak comes by itself.
  const card = page.locator(".card", { hasText: leak }).filter({ hasText: "fd-leak" });
  const began = Date.now();
  await card.first().waitFor({ timeout: APPEARS });
  console.log(`APPEARED ${Date.now() - began}`);
  assert.equal(await page.evaluate(() => window.sameDocument), true, "the page was loaded again");

  // Its flame graph opens at the line, is searched and zoomed.
  await card.first().getByRole("link", { name: "flame graph" }).click();
  const frames = page.getByRole("treeitem");
  await frames.nth(1).waitFor();
  const search = page.getByRole("searchbox");
  assert.equal(await search.inputValue(), leak);
  assert.ok(await page.locator("g.match").count() > 0, "the line is not marked");
  const matched = page.locator(".matched");
  assert.match(await matched.textContent(), /^\d+\.\d % matches$/);
  await search.fill("no such function");
  await until(page, ".matched", /^0\.0 %/);
  assert.equal(await page.locator("g.match").count(), 0);
  await search.fill("leak_file");
  await page.locator("g.match").first().click();
  const whole = page.getByRole("button", { name: "Whole graph" });
  assert.equal(await whole.isEnabled(), true, "a click does not zoom");
  assert.ok(await page.locator("g.above").count() > 0);
  await whole.click();
  assert.equal(await page.locator("g.above").count(), 0);

  // The same by keyboard alone.
  await page.getByRole("tree").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  assert.match(await page.locator("g.current").getAttribute("aria-label"), /:\d+, [\d,]+ descriptors?, \d+\.\d %$/);
  await page.keyboard.press("Enter");
  assert.ok(await page.locator("g.above").count() > 0, "Enter does not zoom");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("g.above").count(), 0, "Escape does not go back");
  await page.keyboard.press("/");
  assert.equal(await search.evaluate((element) => element === document.activeElement), true);

  // Another kind, over a window.
  await page.getByLabel("Graph of").selectOption("descriptors");
  await until(page, ".status", /^[\d,]+ descriptors? in/);
  await page.getByLabel("Time").selectOption("5");
  await until(page, ".status", /collecting/);
  await until(page, ".status", /^[\d,]+ descriptors? in [45]\.\d s/);
  assert.ok(await frames.count() > 2, "nothing within five seconds");

  // What the focus is on can be seen.
  await page.goto(`${url}#/process/${leaking}`);
  await page.locator("table.descriptors tbody tr", { hasText: leak }).waitFor();
  for (let step = 0; step < 6; step += 1) {
    await page.keyboard.press("Tab");
    const [name, style] = await page.evaluate(() => [document.activeElement.outerHTML.slice(0, 80),
      getComputedStyle(document.activeElement).outlineStyle]);
    assert.notEqual(style, "none", `no focus to be seen on ${name}`);
  }
  await page.getByRole("button", { name: "stack" }).first().click();
  await page.locator("table .stack li").first().waitFor();
  // It stays while the figures beside it change.
  const figures = page.locator("table.descriptors tbody tr", { hasText: leak }).locator("td.number").first();
  const before = await figures.textContent();
  await until(page, "table.descriptors tbody tr td.number >> nth=0", { test: (text) => text !== before });
  assert.ok(await page.locator("table .stack li").count() > 0, "the stack is gone");

  // Hostile names are text, here and in the graph.
  await page.goto(`${hostileUrl}#/process/${hostile}`);
  await page.locator("table.descriptors tbody tr", { hasText: "alert(1)" }).first().waitFor();
  const table = await inert(page);
  for (const name of ["</script><script>alert(1)</script>", "\\x1b[31mescape", "\\u202eright to left", "nul\\x00nul",
    "new\\nline", "\\u009bcontrol", "\\udcff\\udcfe"]) {
    assert.ok(table.includes(name), `${name} is not on the page`);
  }
  await page.goto(`${hostileUrl}#/process/${hostile}/graph/descriptors-alive`);
  await frames.nth(5).waitFor();
  assert.ok((await inert(page)).includes("\\u202eright to left"));

  // Each view at each width in each theme.
  const views = [["overview", "#/", ".card"], ["process", `#/process/${leaking}`, "tbody tr"],
    ["hostile", `#/process/${hostile}`, "tbody tr", hostileUrl],
    ["graph", `#/process/${leaking}/graph/descriptors-alive`, "[role=treeitem]"],
    ["health", "#/health", "tbody tr"]];
  for (const width of [1280, 400]) {
    for (const scheme of ["light", "dark"]) {
      const one = await open(width, scheme);
      for (const [name, path, there, from = url] of views) {
        await one.goto(`${from}${path}`);
        await one.locator(there).first().waitFor();
        const over = await one.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `${name} is ${over} pixels wider than ${width}`);
        await one.screenshot({ path: join(pictures, `${name}-${width}-${scheme}.png`) });
      }
      await one.context().close();
    }
  }
  assert.deepEqual(wrong, []);

  // The agent goes and comes again, and the page finds it. That connections fail meanwhile is told on
  // the console.
  const again = await open(1280, "dark");
  await again.goto(hostileUrl);
  await again.locator("#live.live").waitFor();
  console.log("STOP");
  await again.locator("#live.lost").waitFor();
  console.log("START");
  await again.locator("#live.live").waitFor({ timeout: 30_000 });
  console.log("DONE");
} finally {
  await browser.close();
}
