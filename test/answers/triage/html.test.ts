import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { triageHtml } from '../../../src/answers/triage/html/page.js';
import type { BlockedTask, BlockingLock } from '../../../src/contracts/blocked.js';
import type { KernelTriage } from '../../../src/triage/answer.js';
import { FINDING_CODES } from '../../../src/triage/findings/all.js';
import { HOSTILE } from '../memory/hostile.js';
import { triageWith } from './hostile.js';

const FACTS = { source: '--vmcore vmcore', version: '0', made: new Date(0) };
const page = (names: readonly string[], more: Partial<KernelTriage> = {}) => {
  const { answer, detail } = triageWith(names);
  return triageHtml({ ...answer, ...more }, detail, FACTS);
};
const HARMLESS = HOSTILE.map((_, index) => `name ${index}`);

/** Elements with the names of their attributes. */
const shape = (markup: string) =>
  [...markup.matchAll(/<[a-z/!][^>]*>/g)].map(([tag]) => tag.replaceAll(/="[^"]*"/g, ''));

test('hostile names add no element and no attribute', () => {
  // The lines of a treemap cell depend on the length of its name: the Chromium test covers that.
  const without = { memory: undefined };
  expect(shape(page(HOSTILE, without))).toEqual(shape(page(HARMLESS, without)));
});

test('has no script, no external resources, and a policy that forbids both', () => {
  for (const markup of [page(HOSTILE), page(HARMLESS)]) {
    const tags = [...markup.matchAll(/<[a-z][^>]*>/g)].map(([tag]) => tag);
    const banned = /^<(script|img|svg|link|iframe|object|base)|\s(src|srcset|style|on\w+)=/;
    expect(tags.length).toBeGreaterThan(200);
    expect(tags.filter((tag) => banned.test(tag))).toEqual([]);
    const [, rules = ''] = /<style>(.*?)<\/style>/s.exec(markup) ?? [];
    const hash = createHash('sha256').update(rules).digest('base64');
    expect(markup).toContain(`content="default-src 'none'; style-src 'sha256-${hash}';`);
  }
});

test('shows every finding with its sentence, figures, log, stack and explanation', () => {
  const markup = page(HARMLESS);
  // The page shows the log around the first 30 findings in its order, which is that of the text.
  expect(markup.match(/<summary>The log around /g)?.length).toBeGreaterThanOrEqual(29);
  for (const code of FINDING_CODES) {
    expect(markup).toContain(`<span class="name">${code}</span>`);
    expect(markup).toContain(`<summary>What ${code} means</summary>`);
  }
  expect(markup.match(/<article /g)).toHaveLength(FINDING_CODES.length + 1);
  expect(markup).toContain('<mark>[    0.001000] name 1\n</mark>');
  expect(markup).toContain('<dt>freeBytes</dt><dd>4,096 (4.00 KiB)</dd>');
  expect(markup).toContain('? name 0+0x10 [name 0]\n  (incomplete: name 0)');
  expect(markup).toContain('<strong>Do:</strong> name 0 name 0');
});

test('unknown, silenced and failed findings come before the list of findings', () => {
  const markup = page(HARMLESS);
  const before = markup.slice(0, markup.indexOf('<h2>Findings</h2>'));
  expect(before).toContain('This answer is incomplete');
  expect(before).toContain('its oldest 3 messages were overwritten');
  expect(before).toContain('<li>name 7</li>');
  expect(before).toContain('Silenced: 2 tainted findings (note). name 0');
  expect(before).toContain('Not evaluated: acme/b (name 3).');
});

test('nests the locks of a finding: each under the lock that its owner waits for', () => {
  const { answer, detail } = triageWith(HARMLESS);
  const task = (pid: number, comm: string): BlockedTask => ({
    pid,
    process: pid,
    comm,
    state: 'D',
    cpu: null,
    seconds: 3,
    leastSeconds: null,
    nsPids: [],
    function: 'mutex_lock',
    stack: null,
  });
  const locks = Array.from(
    { length: 150 },
    (_, id): BlockingLock => ({
      id,
      kind: 'mutex',
      address: BigInt(4096 + id),
      bit: null,
      symbol: null,
      object: null,
      readers: null,
      ownerState: 'task',
      owner: task(id + 1, '<b>'),
      candidates: [],
      device: null,
      file: null,
      cause: null,
      trace: null,
      waiters: [task(id, '<i>')],
      waitsFor: id < 149 ? id + 1 : null,
    }),
  );
  const finding = { ...answer.findings[0]!, waits: { roots: [locks[149]!], locks } };
  const markup = triageHtml({ ...answer, findings: [finding], memory: undefined }, detail, FACTS);
  const list = markup.slice(markup.indexOf('<ul><li>mutex'), markup.indexOf('more locks'));
  expect(list).toMatch(
    /^<ul><li>mutex 0x1095: owner pid 150 \(&lt;b&gt;\), state D in mutex_lock<br>1 waiter: pid 149 \(&lt;i&gt;\) 3\.0 s<ul><li>mutex 0x1094: /,
  );
  expect(list.match(/<li>/g)).toHaveLength(100);
  expect(list.match(/<ul>/g)).toHaveLength(21);
  expect(list.match(/<\/ul>/g)).toHaveLength(21);
  expect(list.match(/<\/li>/g)).toHaveLength(100);
  expect(list).toContain('<p>and 50 ');
});

test('reports that memory, log and stacks are not available', () => {
  const { answer } = triageWith(HARMLESS);
  const markup = triageHtml(
    { ...answer, memory: undefined, log: undefined, lost: undefined, findings: [] },
    { running: undefined, blocked: [], warnings: [] },
    FACTS,
  );
  expect(markup).toContain('Not available: the reason is in the list above.');
  expect(markup).toContain('The kernel log is not available');
  expect(markup).toContain('Tasks running on the CPUs: not available');
  expect(markup).toContain('uninterruptible sleep (state D): none.');
});

test('details the first of any number of findings, and lists the others', () => {
  const { answer, detail } = triageWith(HARMLESS);
  const [first] = answer.findings;
  const findings = Array.from({ length: 1500 }, () => ({ ...first!, evidence: [] }));
  const markup = triageHtml({ ...answer, findings, memory: undefined }, detail, FACTS);
  expect(markup.match(/<article /g)).toHaveLength(100);
  expect(markup).toContain('1,400 more findings');
  expect(markup.match(/<li>critical acme\/own: /g)).toHaveLength(1000);
  expect(markup).toContain('<p>and 400 more</p>');
});

test('truncates long messages, and shows the log around the first findings only', () => {
  const { answer, detail } = triageWith(HARMLESS);
  const [, found] = answer.findings;
  const records = answer.log!.records.map((one) => ({ ...one, text: 'y'.repeat(60_000) }));
  const findings = Array.from({ length: 90 }, () => found!);
  const log = { ...answer.log!, records };
  const markup = triageHtml({ ...answer, findings, log, memory: undefined }, detail, FACTS);
  expect(markup.match(/<summary>The log around/g)).toHaveLength(30);
  expect(markup).toContain('The log around a finding is shown for the first 30 findings.');
  expect([...markup.matchAll(/y{100,}…?/g)].map(([text]) => text.length)).toEqual(
    Array(30 * records.length + records.length).fill(2049),
  );
});
