import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { columnsOf } from '../../../src/answers/text/cut.js';
import { commandPath } from '../../support/cli.js';
import { fixture } from '../../support/fixtures.js';
import { kdumpMem, kdumpMemOn } from '../../support/in-process.js';
import { labDump } from '../../support/lab.js';

const PTY = fileURLToPath(new URL('on_terminal.py', import.meta.url));
const { vmcore } = fixture('newest');

/** Lines that kdump-mem prints about a dump on a real terminal of this width. */
function onTerminal(columns: number, ...args: string[]): Promise<string[]> {
  return linesOnTerminal(columns, ...args, '--vmcore', vmcore);
}

async function linesOnTerminal(columns: number, ...args: string[]): Promise<string[]> {
  return (await textOnTerminal(columns, 'xterm', 'kdump-mem', ...args)).split(/\r?\n/);
}

async function textOnTerminal(
  columns: number,
  TERM: string,
  name: 'kdump-mem' | 'skcheck',
  ...args: string[]
): Promise<string> {
  const command = [process.execPath, commandPath(name), ...args];
  const { stdout } = await execa('python3', [PTY, String(columns), ...command], {
    timeout: STEP_MS,
    env: { COLUMNS: '33', TERM },
    reject: name === 'kdump-mem',
  });
  return stdout;
}

/** Excludes commands to copy: a broken one would not work. */
const widest = (lines: readonly string[]) =>
  Math.max(...lines.filter((line) => !line.startsWith('Next: ')).map(columnsOf));

test.each([
  [['sockets']],
  [['sockets', '--verbose']],
  [['sockets', '--by', 'process']],
  [['skb', '--pid', '139']],
  [['skb', '--pid', '139', '--fd', '5']],
])('%j fits a terminal, and uses a wide one', async (args) => {
  const narrow = await onTerminal(80, ...args);
  const wide = await onTerminal(160, ...args);
  expect(widest(narrow)).toBeLessThanOrEqual(80);
  expect(widest(wide)).toBeLessThanOrEqual(160);
  expect(widest(wide)).toBeGreaterThan(80);
  // Figures are never truncated.
  for (const line of narrow) expect(line).not.toMatch(/\d…(?: |$)/);
});

test('a terminal of 80 columns has one line per socket, with its owner and pinned memory', async () => {
  const lines = await onTerminal(80, 'sockets', '--limit', '3');
  const at = lines.findIndex((line) => line.includes('PINNED') && line.includes('OWNER'));
  expect(lines[at]).toMatch(/^ *PINNED +PAYLOAD +SOCKET \(LOCAL ← PEER\) +OWNER$/);
  expect(lines[at + 1]).toMatch(/MiB .* TCP .* → .* 139 stuffed fd 4$/);
  expect(lines[at + 2]).toMatch(/KiB .* TCP 10\.0\.2\.15:9001 ← .* 132 starver fd 4$/);
  expect(lines.join(' ')).toContain('Hidden at this width: columns ');
});

test('in a pipe nothing is truncated, wrapped or hidden, regardless of COLUMNS', async () => {
  const { stdout } = await kdumpMem('sockets', '--all', '--vmcore', vmcore);
  expect(stdout).not.toMatch(/…|Hidden at this width/);
  expect(stdout).toMatch(/^ *PINNED +PAYLOAD +RATIO +QUEUE +STATE +SOCKET \(LOCAL ← PEER\) +OWNER$/m);
  expect(widest(stdout.split('\n'))).toBeGreaterThan(160);
});

const SOURCES = [
  ['--vmcore', labDump('6.1').elf],
  ['--live', '--source', 'pageflags'],
  ['--live', '--source', 'counters'],
];
const DEPTHS = [[], ['-v'], ['--caches'], ['--vmalloc'], ['--nodes'], ['--as', 'free'], ['--as', 'meminfo']];

test.each(SOURCES.flatMap((source) => DEPTHS.map((depth) => [[...depth, ...source]] as const)))(
  'memory %j fits a terminal of 80 columns, and truncates no figure',
  async (args) => {
    const lines = (await kdumpMemOn(80, 'memory', ...args)).stdout.split('\n');
    expect(lines.length).toBeGreaterThan(3);
    expect(widest(lines)).toBeLessThanOrEqual(80);
    for (const line of lines) expect(line).not.toMatch(/\d…(?: |$)/);
  },
);

test.each([
  [['memory', '--live', '--source', 'counters'], /^(?:Memory is |About |[\d.]+ [GM]iB of )/],
  [['procs', '--live', '-v'], /^Sample \d+: RATE\/MIN is shown from/],
])('%j --watch fits the screen, and restores the terminal', async (args, first) => {
  const text = (await linesOnTerminal(80, ...args, '--watch', '--count', '1')).join('\n');
  const frames = text.split('\u001b[H').slice(1);
  const last = stripVTControlCharacters(frames.at(-1) ?? '');
  expect(last).toMatch(first);
  expect(last).toContain('q: quit  ↑↓: scroll  sample 1, ');
  const drawn = last.trimEnd().split('\n');
  expect(drawn).toHaveLength(40);
  expect(widest(drawn)).toBeLessThanOrEqual(80);
  expect(text.trimEnd().endsWith('\u001b[?7h\u001b[?25h')).toBe(true);
});

test.each([
  ['kdump-mem', ['memory', '--live', '--source', 'counters', '--count', '2'], /^sample 2, \S+Z\r?$/m],
  ['kdump-mem', ['procs', '--live', '--count', '2'], /^sample 2, \S+Z\r?$/m],
  ['skcheck', ['--samples', '3'], / sockets? .*\n(?:.*\n)+?.* sockets? /],
] as const)('%s %j --watch on a dumb terminal prints one text after the other', async (name, args, headings) => {
  const text = await textOnTerminal(80, 'dumb', name, ...args, '--watch', '--interval', '0.5');
  expect(text).not.toContain('\u001b');
  expect(text).toMatch(headings);
  expect(widest(text.split(/\r?\n/))).toBeLessThanOrEqual(80);
});
