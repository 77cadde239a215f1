import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { CommandUnknownOpts } from 'commander';
import { describe, expect, test } from 'vitest';
import { registerCompletion } from '../src/app/completion/command.js';
import { ALL_COMMANDS } from '../src/app/completion/generated.js';
import { kdumpMemCommand } from '../src/app/kdump-mem.js';
import { registerMcp } from '../src/app/mcp/command.js';
import { skcheckCommand } from '../src/app/skcheck/options.js';
import { FINDINGS } from '../src/triage/findings/all.js';
import { THRESHOLDS, type Threshold } from '../src/triage/thresholds.js';
import { kdumpMem } from './support/cli.js';
import { commandLines, DOCUMENTS, ROOT, textOf } from './support/documents.js';

/** Anchors that GitHub generates from headings. */
function anchorsOf(path: string): Set<string> {
  const headings = textOf(path).matchAll(/^#+ (.*)$/gm);
  return new Set(
    Array.from(headings, ([, words = '']) =>
      words
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test.each(DOCUMENTS)('links of %s have existing targets', (path) => {
  const broken = [...textOf(path).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
    if (/^https?:/.test(link)) return [];
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), file));
    if (!existsSync(join(ROOT, target))) return [link];
    return anchor === undefined || anchorsOf(target).has(anchor) ? [] : [link];
  });
  expect(broken).toEqual([]);
});

const commands = new Map(
  kdumpMemCommand(...ALL_COMMANDS, registerMcp, registerCompletion).commands.map((command) => [
    command.name(),
    command,
  ]),
);

/** Options in a command line that the command does not declare. */
function unknownOptions(command: CommandUnknownOpts, words: readonly string[]): string[] {
  const known = new Set(command.options.flatMap(({ long, short }) => [long ?? '', short ?? '']));
  for (const own of ['--help', '-h', '--version', '-V']) known.add(own);
  return words
    .flatMap((word) => /^--?[a-zA-Z][\w-]*/.exec(word)?.slice(0, 1) ?? [])
    .filter((option) => !known.has(option));
}

test.each(DOCUMENTS)('command lines of %s are valid', (path) => {
  const wrong: string[] = [];
  for (const line of commandLines(textOf(path)))
    for (const part of line.split(/\||;|&&|&|\$\(|\bdo\b|>/)) {
      const words = part.trim().split(/\s+/);
      const at = words.findIndex((word) => /^(?:\S*\/)?(?:kdump-mem|skcheck)$/.test(word));
      if (at < 0 || at > 3) continue;
      const rest = words.slice(at + 1);
      if (words[at]?.endsWith('skcheck')) {
        if (unknownOptions(skcheckCommand(), rest).length > 0) wrong.push(part.trim());
        continue;
      }
      const [name = '', ...others] = rest;
      if (name === '' || name.startsWith('-') || name === 'help') continue;
      const command = commands.get(name);
      if (!command || unknownOptions(command, others).length > 0) wrong.push(part.trim());
    }
  expect(wrong).toEqual([]);
});

/** The part of an answer that a document shows: `…` stands for the rest of a line, and alone for lines. */
function asPattern(shown: string): RegExp {
  const lines = shown.split('\n').map((line) => {
    if (line === '…') return '(?:.*\\n)*?';
    const [before = '', ...more] = line.split('…');
    const escaped = [before, ...more].map(literally);
    return `${escaped.join('.*')}\\n`;
  });
  return new RegExp(`^${lines.join('')}`);
}

const literally = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');

const examples = DOCUMENTS.flatMap((path) =>
  [...textOf(path).matchAll(/^```\n\$ \.\/kdump-mem ([^\n]*)\n(.*?)\n```$/gms)].map(
    ([, words = '', shown = '']) => [path, words, shown] as const,
  ),
);

describe('examples', () => {
  test('are found', () => {
    expect(examples.length).toBeGreaterThan(1);
  });

  test.each(examples)('%s: kdump-mem %s', async (_, words, shown) => {
    const args = words.split(' ').map((word) => (word.startsWith('fixtures/') ? join(ROOT, word) : word));
    const { stdout, stderr } = await kdumpMem(...args);
    expect(stderr).toBe('');
    expect(stdout.replaceAll(ROOT, '')).toMatch(asPattern(shown));
  });
});

test('docs/README.md lists every page, as the menu of the site', () => {
  const listed = [...textOf('docs/README.md').matchAll(/^- \[[^\]]+\]\(([^)]+)\): \S/gm)].map(([, file]) => file);
  const pages = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.md') && name !== 'README.md',
  );
  expect(listed.toSorted()).toEqual(pages.toSorted());
});

/** Rows of a table, by the name of its first column. */
const rowsOf = (path: string, heading: string) =>
  textOf(path)
    .split(`\n| ${heading} | `)[1]
    ?.split('\n\n')[0]
    ?.split('\n')
    .slice(2)
    .map((row) => row.split(/ ?\| ?/).slice(1, -1)) ?? [];
const codesIn = (cell = '') => Array.from(cell.matchAll(/`([^`]+)`/g), ([, code = '']) => code);

test('docs/findings.md has the thresholds of the source', () => {
  const inWords = (unit: string, value: number | undefined) => {
    if (value === undefined) return '';
    if (unit === 'share') return `${Math.round(value * 100)} %`;
    if (unit === 'bytes') return `${value / 2 ** 20} MiB`;
    return `${value}${{ percent: ' %', seconds: ' s' }[unit] ?? ''}`;
  };
  const expected = Object.entries<Threshold>(THRESHOLDS).map(([code, threshold]) => {
    const { unit, note, warning, critical, leastBytes, leastSeconds } = threshold;
    const from = [note, warning, critical].map((value) => inWords(unit, value));
    return [code, ...from, inWords('bytes', leastBytes) || inWords('seconds', leastSeconds)];
  });
  const rows = rowsOf('docs/findings.md', 'finding');
  expect(rows.map(([codes, , ...cells]) => [codesIn(codes)[0], ...cells])).toEqual(expected);
  const stalls = Object.entries<Threshold>(THRESHOLDS).filter(([, threshold]) => threshold.stalls !== undefined);
  expect(stalls.length).toBe(2);
  for (const [code, threshold] of stalls)
    expect(rows.find(([codes]) => codesIn(codes)[0] === code)?.[1]).toContain(`${threshold.stalls} %`);
});

test('docs/findings.md lists every finding once', () => {
  const listed = rowsOf('docs/findings.md', 'code').flatMap(([codes]) => codesIn(codes));
  expect(listed.toSorted()).toEqual(Object.keys(FINDINGS).toSorted());
});

test('docs/answers.md lists every schema once', () => {
  const listed = rowsOf('docs/answers.md', 'command').flatMap(([, names]) =>
    codesIn(names).filter((name) => name.includes('/')),
  );
  const files = readdirSync(join(ROOT, 'schemas')).map((file) => file.replace(/-(\d+)\.json$/, '/$1'));
  expect(listed.toSorted()).toEqual(files.toSorted());
});
