// Serves a built site on this machine and reads it in Debian's Chromium, which reaches nothing else. Prints
// the result as JSON.
//
//   node look-site.mjs FOLDER PICTURES QUERY PAGE...     screenshots go into the folder PICTURES

import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import puppeteer from 'puppeteer-core';

const [folder, pictures, query, ...pages] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
};

const server = createServer(({ url }, response) => {
  const path = new URL(url, 'http://here').pathname;
  const file = [path, `${path}.html`, `${path}index.html`]
    .map((each) => join(folder, each))
    .find((each) => existsSync(each) && statSync(each).isFile());
  response.statusCode = file === undefined ? 404 : 200;
  response.setHeader('content-type', TYPES[extname(file ?? '.html')] ?? 'text/plain');
  response.end(file === undefined ? 'nothing here' : readFileSync(file));
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const site = `http://127.0.0.1:${server.address().port}`;
const browser = await puppeteer.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    // Names of other machines are not resolved.
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
  ],
});
try {
  const seen = [];
  for (const page of pages) seen.push(await look(page));
  process.stdout.write(`${JSON.stringify({ pages: seen, found: await search() })}\n`);
} finally {
  await browser.close();
  server.close();
}

async function open() {
  const tab = await browser.newPage();
  const messages = [];
  const elsewhere = [];
  tab.on('console', (message) => messages.push(message.text()));
  tab.on('pageerror', (error) => messages.push(String(error)));
  tab.on('request', (request) => {
    if (!/^data:/.test(request.url()) && !request.url().startsWith(`${site}/`)) elsewhere.push(request.url());
  });
  return { tab, messages, elsewhere };
}

async function look(page) {
  const { tab, messages, elsewhere } = await open();
  const views = [];
  const violations = [];
  for (const scheme of ['light', 'dark']) {
    await tab.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await tab.goto(`${site}/${page}`);
    for (const width of [360, 768, 1280]) {
      await tab.setViewport({ width, height: 900 });
      const name = `site-${page.replaceAll('/', '-') || 'start'}-${scheme}-${width}.png`;
      await tab.screenshot({ path: join(pictures, name) });
      const overflow = await tab.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return scrollWidth - clientWidth;
      });
      views.push({ scheme, width, overflow });
    }
    // Colors in a transition are not checked.
    await tab.evaluate(() => {
      for (const each of document.getAnimations()) each.finish();
    });
    await tab.evaluate(axe);
    const found = await tab.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    for (const { id, nodes } of found.violations)
      violations.push(`${scheme} ${id}: ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary}`);
  }
  const title = await tab.title();
  await tab.close();
  return { page, title, messages, elsewhere, views, violations };
}

/** Types the query into the search, and returns the pages that it lists. */
async function search() {
  const { tab } = await open();
  await tab.setViewport({ width: 1280, height: 900 });
  await tab.goto(`${site}/`);
  await tab.click('#local-search button');
  await tab.waitForSelector('.VPLocalSearchBox input');
  await tab.type('.VPLocalSearchBox input', query);
  await tab.waitForSelector('.VPLocalSearchBox a.result');
  const links = await tab.$$eval('.VPLocalSearchBox a.result', (all) => all.map((each) => each.getAttribute('href')));
  await tab.screenshot({ path: join(pictures, 'site-search.png') });
  await tab.close();
  return links;
}
