import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type DiffJson, diffSchema } from '../../../src/contracts/diff.js';
import { drgnJson } from '../../support/drgn.js';
import { kdumpMem } from '../../support/in-process.js';
import { labDump, labVmcore } from '../../support/lab.js';
import { scratchFolder } from '../../support/scratch.js';

const { elf, kdumpZlib } = labDump('6.1');
const folder = scratchFolder('kdump-mem-diff-');

async function differ(...inputs: readonly string[]): Promise<DiffJson> {
  const { stdout, stderr, status } = await kdumpMem('diff', '--json', ...inputs);
  expect([stderr, status]).toEqual(['', 0]);
  return diffSchema.parse(JSON.parse(stdout));
}

async function answersOf(dump: string): Promise<string> {
  const path = join(folder, 'answers.json');
  const commands = [['memory', '--cgroups'], ['procs'], ['sockets', '--all']];
  const texts = [];
  for (const words of commands) texts.push((await kdumpMem(...words, '--json', '--vmcore', dump)).stdout);
  writeFileSync(path, texts.join(''));
  return path;
}

const LISTS = ['processes', 'sockets', 'caches', 'callers', 'cgroups'] as const;

test('two formats of one moment have no changes, and are reported as the same time', async () => {
  const diff = await differ(elf, kdumpZlib);
  expect(diff.warnings.map(({ code }) => code)).toContain('same-time');
  expect(diff).toMatchObject({ seconds: null, sameBoot: true, complete: false });
  expect(diff.loss).toMatchObject({ lostBytes: 0, pluggedBytes: 0, grewBytes: 0, shrankBytes: 0 });
  for (const name of LISTS) {
    expect(diff[name]?.items.length).toBeGreaterThan(0);
    for (const item of diff[name]?.items ?? []) expect(item).toMatchObject({ status: 'both', changeBytes: 0 });
  }
});

test('a dump and its saved answers compare equal', async () => {
  const answers = await answersOf(elf);
  const [one, other] = [await differ(elf, kdumpZlib), await differ(answers, kdumpZlib)];
  expect({ ...other, inputs: [] }).toEqual({
    ...one,
    inputs: [],
    summary: other.summary,
    warnings: one.warnings.map((warning) => ({ ...warning, message: warning.message.replaceAll(elf, answers) })),
  });
});

test('reports different boots: compares memory, but not processes and sockets', async () => {
  const diff = await differ(elf, labVmcore('6.1').elf);
  const codes = diff.warnings.map(({ code }) => code);
  expect(codes).toContain('different-boots');
  expect(diff).toMatchObject({ sameBoot: false, seconds: null, processes: null, sockets: null });
  expect(diff.loss?.explanation).toBeNull();
  expect(diff.caches?.items.length).toBeGreaterThan(0);
  for (const { category, perMinuteBytes } of diff.categories?.children ?? [])
    expect([category, perMinuteBytes]).toEqual([category, null]);
});

test('start times, boot id and host match drgn', async () => {
  const oracle = drgnJson<{ ticks: Record<string, number>; bootId: string; host: string }>(
    elf,
    '6.1',
    new URL('times.py', import.meta.url),
  );
  const diff = await differ(elf, kdumpZlib);
  const ticks = diff.processes?.items.map(({ pid, startTicks }) => [String(pid), startTicks]);
  expect(ticks?.length).toBeGreaterThan(5);
  expect(oracle.ticks).toMatchObject(Object.fromEntries(ticks ?? []));
  const [input] = diff.inputs;
  expect(input?.host).toBe(oracle.host);
  expect(oracle.bootId).not.toBe('0'.repeat(32));
  expect(input?.bootId?.replaceAll('-', '')).toBe(oracle.bootId);
});
