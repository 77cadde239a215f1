import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { triageHtml } from '../../../src/answers/triage/html/page.js';
import { triageSchema } from '../../../src/contracts/triage.js';
import { HOSTILE } from '../../answers/memory/hostile.js';
import { triageWith } from '../../answers/triage/hostile.js';
import { lookAt, type Seen } from '../../support/browser.js';
import { kdumpMem } from '../../support/in-process.js';
import { labKdump } from '../../support/lab.js';
import { boxTests, pageTests } from '../../support/page-tests.js';

const { elf } = labKdump('6.1');
const PAGES = ['triage-real', 'triage-hostile'] as const;
type Page = (typeof PAGES)[number];

let folder: string;
let file: string;
let seen: Record<Page, Seen>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kdump-mem-triage-page-'));
  file = join(folder, 'triage.html');
  const { status, stdout } = await kdumpMem('triage', '--vmcore', elf, '--html', file);
  expect(status).toBe(0);
  expect(stdout.split('\n').at(-2)).toBe(`${file}: open it in a browser`);
  const facts = { source: '--vmcore vmcore', version: '0', made: new Date(0) };
  const { answer, detail } = triageWith(HOSTILE);
  seen = await lookAt({
    'triage-real': readFileSync(file, 'utf8'),
    'triage-hostile': triageHtml(answer, detail, facts),
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(PAGES)('the page %s in Chromium', (name) => {
  pageTests(() => seen[name]);
  boxTests(() => seen[name]);

  test('the keyboard reaches all expandable elements, each with a description', () => {
    const { stops } = seen[name];
    expect(stops.filter(({ what }) => what === 'summary').length).toBeGreaterThan(6);
    expect(stops.filter(({ what }) => what === 'cell').length).toBeGreaterThan(10);
    for (const stop of stops) {
      expect(stop).toMatchObject({ outlined: true, inView: true });
      expect(stop.name.trim()).not.toBe('');
    }
    expect(seen[name].followed).toMatchObject({ element: 'tr' });
    expect(seen[name].tree).toMatchObject({ nameless: 0 });
  });
});

const unescaped = (markup: string) =>
  markup
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&#39;', "'")
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');

test('the page has each finding of the JSON, the panic’s stack, and the log before it', async () => {
  const [triage, log] = await Promise.all([
    kdumpMem('triage', '--vmcore', elf, '--json'),
    kdumpMem('log', '--vmcore', elf),
  ]);
  const { findings } = triageSchema.parse(JSON.parse(triage.stdout));
  const page = unescaped(readFileSync(file, 'utf8'));
  for (const { code, words, evidence } of findings) {
    expect(page).toContain(`<span class="name">${code}</span>`);
    expect(page).toContain(words);
    for (const one of evidence)
      for (const { symbol } of one.kind === 'stack' ? one.frames : [])
        if (symbol !== null) expect(page).toContain(`${symbol}+0x`);
  }
  expect(findings[0]).toMatchObject({ code: 'panic' });
  const lines = log.stdout.trimEnd().split('\n');
  const at = lines.findIndex((line) => line.includes('Kernel panic - not syncing'));
  expect(at).toBeGreaterThan(15);
  const [, around = ''] = /<summary>The log around panic<\/summary><pre>(.*?)<\/pre>/s.exec(page) ?? [];
  expect(around.replaceAll(/<\/?mark>/g, '').split('\n')).toEqual(expect.arrayContaining(lines.slice(at - 5, at + 1)));
  expect(around).toContain(`<mark>${lines[at]}\n</mark>`);
  for (const cpu of [0, 1]) expect(page).toMatch(new RegExp(`pid \\d+ .* on CPU ${cpu}\\b`));
});

test('keeps an existing file without --force', async () => {
  const other = join(folder, 'other.html');
  writeFileSync(other, 'mine');
  const kept = await kdumpMem('triage', '--vmcore', elf, '--html', other);
  expect(kept).toMatchObject({ status: 2, stdout: '' });
  expect(kept.stderr).toBe(`kdump-mem: ${other}: already exists (--force replaces it)\n`);
  expect(readFileSync(other, 'utf8')).toBe('mine');
  const dump = await kdumpMem('triage', '--vmcore', elf, '--html', elf, '--force');
  expect(dump.stderr).toContain('it is the dump that is read');
});

test('- prints the page, and --fail-on works as without it', async () => {
  const { stdout, status } = await kdumpMem('triage', '--vmcore', elf, '--html', '-', '--fail-on', 'critical');
  expect(stdout).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
  expect(status).toBe(1);
});

test('is refused with --json', async () => {
  const { status, stderr } = await kdumpMem('triage', elf, '--html', '-', '--json');
  expect(status).toBe(2);
  expect(stderr).toContain('--html');
});
