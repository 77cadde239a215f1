import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memoryHtml } from '../../../src/answers/memory/html/page.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import { answerWith, HOSTILE } from '../../answers/memory/hostile.js';
import { lookAt, type Seen } from '../../support/browser.js';
import { kdumpMem, kdumpMemJson } from '../../support/in-process.js';
import { labDump } from '../../support/lab.js';
import { boxTests, pageTests } from '../../support/page-tests.js';

const { elf } = labDump('6.1');
const PAGES = ['real', 'hostile', 'harmless'] as const;
type Page = (typeof PAGES)[number];

let folder: string;
let file: string;
let seen: Record<Page, Seen>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kdump-mem-page-'));
  file = join(folder, 'memory.html');
  const { status } = await kdumpMem('memory', '--vmcore', elf, '--html', file);
  expect(status).toBe(0);
  const made = { source: '--vmcore vmcore', version: '0', made: new Date(0) };
  const letters = HOSTILE.map((_, index) => `name ${index}`);
  seen = await lookAt({
    real: readFileSync(file, 'utf8'),
    hostile: memoryHtml(answerWith(HOSTILE), made),
    harmless: memoryHtml(answerWith(letters), made),
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(PAGES)('the %s page in Chromium', (name) => {
  pageTests(() => seen[name]);
  boxTests(() => seen[name]);

  test('boxes fill their parent in proportion to their bytes', () => {
    for (const { width, lists } of seen[name].views) {
      expect(lists.length).toBeGreaterThan(3);
      for (const { bytes, box, cells } of lists) {
        expect(cells.reduce((sum, cell) => sum + cell.bytes, 0)).toBe(bytes);
        for (const { bytes: part, box: own } of cells) {
          const expected = (box.width * box.height * part) / bytes;
          // Browsers round box positions to 1/64 pixel.
          const slack = (own.width + own.height) / 16 + 0.1;
          expect(Math.abs(own.width * own.height - expected), `${width}`).toBeLessThan(slack);
          expect(own.left).toBeGreaterThanOrEqual(box.left - 0.1);
          expect(own.top + own.height).toBeLessThanOrEqual(box.top + box.height + 0.1);
        }
      }
    }
  });

  test('the keyboard reaches every box and every table, in order, with a description', () => {
    const { stops } = seen[name];
    expect(stops[0]).toMatchObject({ what: 'a', name: 'Go to the table of categories' });
    const order = stops.map(({ what }) => what);
    const [first, last] = [order.indexOf('cell'), order.lastIndexOf('cell')];
    expect(last - first).toBeGreaterThan(10);
    expect(new Set(order.slice(first, last + 1))).toEqual(new Set(['cell']));
    expect(order.indexOf('table')).toBe(last + 1);
    for (const stop of stops) {
      expect(stop).toMatchObject({ outlined: true, inView: true });
      if (stop.what !== 'cell') continue;
      expect(stop.name).toMatch(/: (0|[\d.]+ \w+), [\d.]+ %$/);
      expect(stop.told).toBe(true);
    }
    expect(stops.filter(({ what }) => what === 'summary').length).toBeGreaterThanOrEqual(3);
    expect(seen[name].followed).toMatchObject({ element: 'tr' });
  });

  test('a screen reader finds lists of links, and tables with row headers', () => {
    const { tree } = seen[name];
    expect(tree).toMatchObject({ nameless: 0 });
    expect(tree.headers).toBeGreaterThan(8);
    expect(tree.links).toBeGreaterThan(10);
    expect(tree.lists).toBeGreaterThan(3);
  });
});

test('hostile names add no element and no attribute', () => {
  expect(seen.hostile.shape).toBe(seen.harmless.shape);
});

test('the page has every category of the JSON, to the byte', async () => {
  const { memory } = await kdumpMemJson(memorySchema, 'memory', '--vmcore', elf);
  const page = readFileSync(file, 'utf8');
  const shown = [memory, ...memory.children, ...memory.children.flatMap(({ children }) => children)]
    .filter(({ bytes }) => bytes > 0)
    .map(({ category, bytes }) => [category, bytes] as const);
  expect(shown.length).toBeGreaterThan(15);
  for (const [category, bytes] of shown) {
    const [, row = ''] = new RegExp(`<tr id="category-${category}"[^>]*>(.*?)</tr>`).exec(page) ?? [];
    expect(row).toContain(`<td class="figure">${bytes.toLocaleString('en')}</td>`);
  }
});

test('boxes of socket queues add up to their category, down to the full socket', () => {
  const page = readFileSync(file, 'utf8');
  expect(page).toMatch(/network: socket queues, \d+ stuffed fd \d+: .*: 2\.\d+ MiB, [\d.]+ %<\/span>/);
});

test('keeps an existing file without --force, and the dump even with it', async () => {
  const other = join(folder, 'other.html');
  writeFileSync(other, 'mine');
  const kept = await kdumpMem('memory', '--vmcore', elf, '--html', other);
  expect(kept).toMatchObject({ status: 2, stdout: '' });
  expect(kept.stderr).toBe(`kdump-mem: ${other}: already exists (--force replaces it)\n`);
  expect(readFileSync(other, 'utf8')).toBe('mine');
  const forced = await kdumpMem('memory', '--vmcore', elf, '--html', other, '--force');
  expect(forced.stdout.split('\n').at(-2)).toBe(`${other}: open it in a browser`);
  expect(readFileSync(other, 'utf8')).toMatch(/^<!doctype html>/);
  const before = statSync(elf);
  const dump = await kdumpMem('memory', '--vmcore', elf, '--html', elf, '--force');
  expect(dump).toMatchObject({ status: 2, stdout: '' });
  expect(dump.stderr).toContain('it is the dump that is read');
  expect(statSync(elf)).toMatchObject({ ino: before.ino, size: before.size });
});

test('- prints only the page', async () => {
  const { stdout } = await kdumpMem('memory', '--vmcore', elf, '--html', '-');
  expect(stdout).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
});

test('--engine verify refuses to write a page', async () => {
  const ran = await kdumpMem('memory', '--vmcore', elf, '--engine', 'verify', '--html', '-');
  expect(ran).toMatchObject({ status: 2, stdout: '' });
  expect(ran.stderr).toContain('--engine verify and --html cannot be combined');
});
