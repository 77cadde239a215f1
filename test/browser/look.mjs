// Opens pages in Debian's Chromium as their readers do, and prints the result as JSON: in light and
// dark mode, at three widths and on paper, with scripts forbidden; then the findings of axe, and the keyboard focus.
//
//   node look.mjs PICTURES PAGE...     screenshots go into the folder PICTURES

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import puppeteer from 'puppeteer-core';

const [pictures, ...pages] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WIDTHS = [360, 768, 1280];
const SCHEMES = ['light', 'dark'];
const MAX_STOPS = 400;

const browser = await puppeteer.launch({
  executablePath: '/usr/bin/chromium',
  // Root may not have the sandbox; the tests themselves create the content.
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
});
try {
  const seen = [];
  for (const page of pages) seen.push(await look(page));
  process.stdout.write(`${JSON.stringify(seen)}\n`);
} finally {
  await browser.close();
}

async function look(file) {
  const tab = await browser.newPage();
  const url = pathToFileURL(file).href;
  const messages = [];
  const requests = [];
  tab.on('console', (message) => messages.push(message.text()));
  tab.on('pageerror', (error) => messages.push(String(error)));
  tab.on('dialog', (dialog) => {
    messages.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  tab.on('request', (request) => {
    if (request.url() !== url) requests.push(request.url());
  });
  const views = [];
  for (const scheme of SCHEMES) {
    for (const width of WIDTHS) {
      await tab.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      await tab.setViewport({ width, height: 900 });
      await tab.setJavaScriptEnabled(false);
      await tab.goto(url);
      const picture = join(pictures, `${basename(file, '.html')}-${scheme}-${width}.png`);
      await tab.screenshot({ path: picture, fullPage: true });
      await tab.setJavaScriptEnabled(true);
      views.push({ scheme, width, picture, ...(await tab.evaluate(geometry)) });
    }
  }
  const violations = [];
  for (const scheme of SCHEMES) {
    await tab.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await tab.goto(url);
    // Collapsed lines are checked, too.
    await tab.evaluate(() => {
      for (const details of document.querySelectorAll('details')) details.open = true;
    });
    await tab.evaluate(axe);
    const found = await tab.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    for (const { id, nodes } of found.violations)
      violations.push(`${scheme} ${id}: ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary}`);
  }
  await tab.goto(url);
  const stops = await tabStops(tab);
  const followed = await follow(tab, url);
  const shape = await tab.evaluate(shapeOf);
  const tree = await accessible(tab);
  await tab.emulateMediaType('print');
  const print = await tab.evaluate(printed);
  await tab.close();
  return { messages, requests, views, violations, stops, followed, shape, tree, print };
}

/** Positions of elements, and overflows. Runs in the page. */
function geometry() {
  const box = (element) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return { left, top, width, height };
  };
  const lists = [...document.querySelectorAll('.map ul')].map((list) => ({
    bytes: Number((list.closest('li') ?? list.closest('.map')).dataset.bytes),
    box: box(list),
    cells: [...list.children].map((cell) => ({ bytes: Number(cell.dataset.bytes), box: box(cell) })),
  }));
  const shown = [...document.querySelectorAll('.map a > span, .map .label > span')].filter(
    (line) => getComputedStyle(line).display !== 'none',
  );
  const clipped = shown.filter((line) => {
    const [own, cell] = [line.getBoundingClientRect(), line.parentElement.getBoundingClientRect()];
    const range = document.createRange();
    range.selectNodeContents(line);
    const text = range.getBoundingClientRect();
    return text.right > cell.right + 0.5 || own.bottom > cell.bottom + 0.5 || text.left < cell.left;
  });
  const { scrollWidth, clientWidth } = document.documentElement;
  return {
    lists,
    overflow: scrollWidth - clientWidth,
    labels: shown.length,
    clipped: clipped.map((line) => line.textContent),
    ground: getComputedStyle(document.body).backgroundColor,
  };
}

/** The elements that the Tab key reaches, in order, until it returns to the first. */
async function tabStops(tab) {
  await tab.setViewport({ width: 1280, height: 900 });
  const stops = [];
  for (let index = 0; index < MAX_STOPS; index++) {
    await tab.keyboard.press('Tab');
    const stop = await tab.evaluate(() => {
      const at = document.activeElement;
      if (at === document.body) return null;
      const { outlineStyle, outlineWidth } = getComputedStyle(at);
      const { top, bottom } = at.getBoundingClientRect();
      const said = at.nextElementSibling;
      const words = at.getAttribute('aria-labelledby');
      return {
        what: at.closest('.map') ? 'cell' : at.matches('.scrolls') ? 'table' : at.localName,
        name: (words ? document.getElementById(words) : at).textContent,
        outlined: outlineStyle !== 'none' && Number.parseFloat(outlineWidth) > 1,
        inView: bottom > 0 && top < innerHeight,
        told: said?.className === 'said' && getComputedStyle(said).display === 'block',
      };
    });
    if (stop === null) break;
    stops.push(stop);
  }
  return stops;
}

/** The target of Enter on the last cell, for a page with a treemap. */
async function follow(tab, url) {
  await tab.goto(url);
  await tab.evaluate(() => [...document.querySelectorAll('#used a')].at(-1)?.focus());
  await tab.keyboard.press('Enter');
  return tab.evaluate(() => {
    const target = document.querySelector(':target');
    return { element: target?.localName ?? null, id: target?.id ?? null };
  });
}

/** Elements and their attributes without text; boxes have as many lines as fit. */
function shapeOf() {
  return [...document.querySelectorAll(':not(.map a > span, .map .label > span)')]
    .map((one) => [one.localName, ...one.getAttributeNames()].join(' '))
    .join('\n');
}

/** The names and roles that a screen reader uses. */
async function accessible(tab) {
  const found = { rows: 0, headers: 0, lists: 0, links: 0, regions: 0, nameless: 0 };
  const roles = { row: 'rows', rowheader: 'headers', list: 'lists', link: 'links', region: 'regions' };
  const visit = ({ role, name, children = [] }) => {
    if (roles[role]) found[roles[role]]++;
    if ((role === 'link' || role === 'region') && !name) found.nameless++;
    for (const child of children) visit(child);
  };
  visit(await tab.accessibility.snapshot({ interestingOnly: false }));
  return found;
}

/** The printed part of what a window collapses. Runs in the page. */
function printed() {
  const hidden = [...document.querySelectorAll('details')].filter(
    (one) => one.getBoundingClientRect().height < 2 * one.querySelector('summary').offsetHeight,
  );
  const [region] = document.querySelectorAll('.scrolls');
  return { hidden: hidden.length, overflow: getComputedStyle(region).overflowX };
}
