import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { listHtml } from '../../../src/answers/html/list-page.js';
import { tableBlock } from '../../../src/answers/text/blocks.js';
import type { ProcsAnswer } from '../../../src/contracts/procs.js';
import { lookAt, type Seen } from '../../support/browser.js';
import { kdumpMem } from '../../support/in-process.js';
import { pageTests } from '../../support/page-tests.js';
import { scratchFolder } from '../../support/scratch.js';

const PAGES = ['procs', 'diff', 'leaks', 'hostile'] as const;
type Page = (typeof PAGES)[number];

const COPIES = new URL('../../leaks/readings/captured/', import.meta.url).pathname;
const INCIDENT = 'fixtures/incident.vmcore';

const folder = scratchFolder('kdump-mem-lists-');

let html: Record<Page, string>;
let seen: Record<Page, Seen>;

/** The page of a command. */
async function pageOf(name: Page, ...args: readonly string[]): Promise<string> {
  const file = join(folder, `${name}.html`);
  const { status, stdout } = await kdumpMem(...args, '--html', file);
  expect([status, stdout.split('\n').at(-2)]).toEqual([0, `${file}: open it in a browser`]);
  return readFileSync(file, 'utf8');
}

/** Answers of a machine at two times; its first process grows in between. */
async function savedAnswers(): Promise<string[]> {
  const { stdout } = await kdumpMem('procs', '--vmcore', INCIDENT, '--json');
  return [0, 1].map((minute) => {
    const answer = JSON.parse(stdout) as ProcsAnswer & { origin: { at: string } };
    const at = new Date(Date.parse(answer.origin.at) + minute * 60_000).toISOString();
    const grown = (bytes: number | null) => (bytes ?? 0) + minute * 2 ** 20;
    const processes = answer.processes.map((one) => ({ ...one, pssBytes: grown(one.pssBytes) }));
    const file = join(folder, `${minute}.json`);
    writeFileSync(file, JSON.stringify({ ...answer, origin: { ...answer.origin, at }, processes }));
    return file;
  });
}

/** A page with one string as text, title and warnings. */
const made = (text: string) =>
  listHtml(
    {
      subject: 'Processes',
      host: text,
      release: text,
      at: new Date(0).toISOString(),
      headline: 'Two rows.',
      complete: false,
      warnings: ['Unreadable.'],
      blocks: [
        'A sentence.',
        tableBlock('Rows', [{ heading: 'PID', align: 'right', value: String }], [1, 2], 'Below.'),
      ],
    },
    { source: '--live', version: '0', made: new Date(0) },
  );

beforeAll(async () => {
  html = {
    procs: await pageOf('procs', 'procs', '--vmcore', INCIDENT, '-v'),
    diff: await pageOf('diff', 'diff', ...(await savedAnswers())),
    leaks: await pageOf(
      'leaks',
      'leaks',
      '--type',
      'page',
      '--interval',
      '600',
      '--from',
      ...[1, 2].map((at) => `${COPIES}page_owner-${at}.txt`),
    ),
    hostile: made('</title><script>alert(1)</script>'),
  };
  seen = await lookAt(html);
});

describe.each(PAGES)('the %s page in Chromium', (name) => {
  pageTests(() => seen[name]);

  test('has tables with row headers', () => {
    expect(seen[name].tree).toMatchObject({ nameless: 0 });
    expect(seen[name].tree.headers).toBeGreaterThan(1);
  });
});

test('a hostile host name adds no element', () => {
  const elements = (page: string) => [...page.matchAll(/<(\w+)/g)].map(([, name]) => name);
  expect(elements(html.hostile)).toEqual(elements(made('web-1')));
});

test('titles name the host, its kernel and the time', () => {
  const of = (name: Page) => /<title>(.*?)<\/title>/.exec(html[name])?.[1];
  const time = String.raw`, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$`;
  expect(of('procs')).toMatch(new RegExp(`^Processes of web-7, Linux 6\\.12\\.[\\w.+-]+${time}`));
  expect(of('diff')).toMatch(new RegExp(`^Changes of web-7, Linux 6\\.12\\.[\\w.+-]+${time}`));
  // A copied file names no machine.
  expect(of('leaks')).toBe('Kernel memory that is not freed, page_owner-1.txt, page_owner-2.txt (host not recorded)');
});

test('a page has each process of the JSON', async () => {
  const { stdout } = await kdumpMem('procs', '--vmcore', INCIDENT, '--json');
  const { processes } = JSON.parse(stdout) as { processes: { pid: number }[] };
  expect(processes.length).toBeGreaterThan(3);
  for (const { pid } of processes) expect(html.procs).toContain(`<th scope="row" class="figure">${pid}</th>`);
});
