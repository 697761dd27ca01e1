// Serves the page, opens it in Chromium for each dashboard, and keeps what it shows as a picture.
//
// usage: node pictures.mjs CHROMIUM PROMETHEUS DASHBOARDS PICTURES SECONDS [VARIABLE=VALUE…]

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";
import { build, preview } from "vite";

const [executablePath, prometheus, dashboards, pictures, seconds, ...pairs] = process.argv.slice(2);
const NAMES = ["fleet", "process", "findings"];
const WIDTH = 1600;
const STEPS = 120;

const json = {
  name: "dashboards",
  configurePreviewServer(server) {
    server.middlewares.use("/dashboards", (request, response) => {
      response.setHeader("Content-Type", "application/json");
      response.end(readFileSync(join(dashboards, request.url)));
    });
  },
};
const configuration = {
  root: dirname(fileURLToPath(import.meta.url)),
  configFile: false,
  logLevel: "error",
  plugins: [json],
  esbuild: { jsx: "automatic" },
  build: { target: "esnext", minify: false, reportCompressedSize: false },
  preview: {
    host: "127.0.0.1",
    port: 0,
    proxy: { "/prometheus": { target: prometheus, rewrite: (path) => path.replace("/prometheus", "") } },
  },
};
// Built and not served from source: only the build reads the default exports of older packages as
// Grafana does.
await build(configuration);
const server = await preview(configuration);
const { port } = server.httpServer.address();
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
let failed = false;
try {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 1000 } });
  page.on("pageerror", (error) => console.error(`page: ${error.message}`));
  const to = Math.floor(Date.now() / 1000);
  const step = Math.max(1, Math.floor(Number(seconds) / STEPS));
  for (const dashboard of NAMES) {
    const query = new URLSearchParams({ dashboard, from: to - Number(seconds), to, step });
    for (const pair of pairs) query.set(...pair.split(/=(.*)/s));
    await page.goto(`http://127.0.0.1:${port}/?${query}`, { timeout: 120_000 });
    await page.waitForSelector("body[data-done]", { state: "attached", timeout: 60_000 });
    const faults = await page.evaluate(() => document.body.dataset.done);
    if (faults) {
      console.error(`${dashboard}: ${faults}`);
      failed = true;
    }
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width: WIDTH, height });
    await page.waitForFunction(() => document.fonts.status === "loaded");
    // Two frames: the charts are drawn in the one after their data came.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await page.screenshot({ path: join(pictures, `${dashboard}.png`), fullPage: true });
    await page.setViewportSize({ width: WIDTH, height: 1000 });
  }
} finally {
  await browser.close();
  await server.close();
}
process.exit(failed ? 1 : 0);
