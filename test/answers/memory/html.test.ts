import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { MemoryAnswer } from '../../../src/account/memory/answer.js';
import type { Category } from '../../../src/account/memory/tree.js';
import { memoryHtml } from '../../../src/answers/memory/html/page.js';
import { answerOf } from './answer.js';
import { answerWith, HOSTILE } from './hostile.js';

const pageOf = (answer: MemoryAnswer, source = '--vmcore vmcore') =>
  memoryHtml(answer, { source, version: '1.2.3', made: new Date(0) });

const PLAIN = answerOf({ 'free-buddy': 300, anonymous: 200, vmalloc: 90, unattributed: 10 });

describe('a self-contained page', () => {
  const page = pageOf(answerWith(HOSTILE));

  test('allows only its own style, by its hash', () => {
    const [, policy = ''] = /Content-Security-Policy" content="([^"]*)"/.exec(page) ?? [];
    const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(page) ?? [];
    const hash = createHash('sha256').update(style).digest('base64');
    expect(policy).toBe(`default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`);
  });

  test('has no script, no style attribute and no links but its own anchors', () => {
    expect(page).not.toMatch(/<script|<img|<svg|<link|<iframe|<object|<base|\sstyle=|\son\w+="/i);
    const addresses = [...page.matchAll(/\s(?:href|src|action)="([^"]*)"/g)].map(([, to]) => to);
    expect(addresses.length).toBeGreaterThan(20);
    for (const to of addresses) expect(to).toMatch(/^#[\w-]+$/);
    const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(page) ?? [];
    expect(style).not.toMatch(/url\(|@import|example/);
  });

  test('has every referenced anchor and name exactly once', () => {
    const ids = [...page.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const references = [...page.matchAll(/\s(?:href="#|aria-labelledby=")([^"]*)"/g)];
    for (const [, id] of references) expect(ids).toContain(id);
  });

  test('shows hostile names as text, without invisible characters', () => {
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page).toContain(String.raw`\u{202e}gnp.exe\u{2066}`);
    expect(page).toContain(String.raw`a\x00b\x1b[31mc\x0d\x0ad\x07`);
    expect(page.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
  });

  test('the shell words that name the dump are one line of text', () => {
    const source = `--vmcore '<script>alert(1)</script>'`;
    expect(pageOf(PLAIN, source)).toContain('--vmcore &#39;&lt;script&gt;');
  });
});

test('a complete answer has no alarm; an incomplete one has it before any table', () => {
  expect(pageOf(PLAIN)).not.toContain('class="alarm"');
  const page = pageOf(answerWith(['lost']));
  const alarm = page.indexOf('This answer is incomplete');
  expect(alarm).toBeGreaterThan(0);
  expect(alarm).toBeLessThan(page.indexOf('<table>'));
  expect(alarm).toBeLessThan(page.indexOf('class="map"'));
  expect(page.slice(alarm, page.indexOf('</section>', alarm))).toContain('<li>lost</li>');
});

test('the summary figures match the table, and are bounds if they are incomplete', () => {
  const figures = (answer: MemoryAnswer) =>
    /<dl class="figures">(.*?)<\/dl>/s.exec(pageOf(answer))?.[1]?.replace(/<[^>]*>|\s+/g, ' ');
  expect(figures(PLAIN)?.match(/\w+ +[\d.]+ \w+/g)).toEqual([
    'total  2.34 MiB',
    'free  1.17 MiB',
    'unattributed  40.0 KiB',
  ]);
  const lost = (of: Category): Category => ({
    ...of,
    complete: of.category !== 'unattributed' && of.children.every(({ complete }) => complete),
    children: of.children.map(lost),
  });
  expect(figures({ ...PLAIN, memory: lost(PLAIN.memory) })).toContain('unattributed  at least 40.0 KiB');
  expect(figures(answerWith(HOSTILE))).toContain('largest owner: &lt;script&gt;');
});

test('incomplete counters are reported by category', () => {
  const categories = PLAIN.memory.children.map((group) => ({
    ...group,
    children: group.children.map((category) => ({
      ...category,
      ...(category.category === 'pipes' ? { complete: false, why: 'no counter exists' } : {}),
    })),
  }));
  const answer = {
    ...PLAIN,
    source: 'counters' as const,
    complete: false,
    memory: { ...PLAIN.memory, children: categories },
  };
  expect(pageOf(answer)).toMatch(/answer is incomplete[\s\S]*<li>Incomplete: “pipes” \(no counter exists\)\.<\/li>/);
  expect(pageOf(answer)).toContain('<code>kdump-mem procs --vmcore vmcore</code>');
});

test('limits the number of warnings, and counts those beyond the limit', () => {
  const warnings = Array.from({ length: 1000 }, (_, index) => ({
    code: 'unreadable' as const,
    count: 1,
    message: `lost ${index}`,
  }));
  const page = pageOf({ ...PLAIN, warnings, complete: false });
  expect(page.match(/<li>lost \d+<\/li>/g)).toHaveLength(50);
  expect(page).toContain('<li>and 950 more</li>');
});

test('rows match the text table, with exact bytes and the kernel’s counter', () => {
  const counted = answerOf(
    { 'free-buddy': 300, vmalloc: 90 },
    { counterBytes: 91 * 4096, owners: [{ kind: 'caller', name: 'load_it', bytes: 4096 }] },
  );
  const [, row = ''] = /<tr id="category-vmalloc"[^>]*>(.*?)<\/tr>/.exec(pageOf(counted)) ?? [];
  expect(row.replace(/<[^>]*>/g, '|')).toBe(
    '|vmalloc||360 KiB||23 %||load_it 4.00 KiB||364 KiB||walked||−4,096||368,640|',
  );
});
