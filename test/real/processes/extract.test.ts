import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { processSchema } from '../../../src/contracts/process.js';
import { procsSchema } from '../../../src/contracts/procs.js';
import { kdumpMem } from '../../support/cli.js';
import { KERNELS, labDump, labKdump } from '../../support/lab.js';

const folder = mkdtempSync(join(tmpdir(), 'processes-extract-'));
afterAll(() => rmSync(folder, { recursive: true }));

const answerOf = async (file: string, ...options: readonly string[]) => {
  const ran = await kdumpMem('procs', '--json', ...options, '--vmcore', file);
  expect(ran).toMatchObject({ stderr: '', status: 0 });
  return JSON.parse(ran.stdout);
};

const extracted = async (file: string, name: string, ...options: readonly string[]) => {
  const small = join(folder, name);
  const words = ['-o', small, '--with-processes', ...options, '--vmcore', file];
  expect(await kdumpMem('extract', ...words)).toMatchObject({ stderr: '', status: 0 });
  return small;
};

describe('an extract with --with-processes gives the dump’s answers', () => {
  const dumps = [
    ...KERNELS.map((kernel) => [kernel, () => labDump(kernel).elf] as const),
    ['6.12-arm64-16k', () => labDump('6.12-arm64-16k').elf] as const,
    ['6.1-kdump', () => labKdump('6.1').formats['lzo-d31'][0] ?? ''] as const,
  ];
  test.each(dumps)('%s', async (name, file) => {
    const small = await extracted(file(), `${name}.vmcore`);
    const all = procsSchema.parse(await answerOf(file()));
    expect(await answerOf(small)).toEqual(all);
    expect(all.complete).toBe(true);
    // Each query costs as much as all: the first process, and the largest.
    const most = all.processes.toSorted((a, b) => (b.rssBytes ?? 0) - (a.rssBytes ?? 0));
    for (const pid of new Set([1, most[0]?.pid ?? 0])) {
      const one = processSchema.parse(await answerOf(file(), '--pid', String(pid)));
      expect(processSchema.parse(await answerOf(small, '--pid', String(pid)))).toEqual(one);
      expect(one.mappings.length).toBeGreaterThan(5);
      expect(one.complete).toBe(true);
    }
    expect(statSync(small).size).toBeLessThan(5e6);
  });
});

test('an anonymous one has all figures, and no paths', async () => {
  const { elf } = labDump('6.1');
  const small = await extracted(elf, 'anonymous', '--anonymize');
  const [whole, made] = [elf, small].map(async (file) => processSchema.parse(await answerOf(file, '--pid', '1')));
  const figures = async (answer: typeof whole) =>
    (await answer)?.mappings.map(({ path, ...rest }) => ({ ...rest, named: path === null }));
  expect(await figures(made)).toEqual(await figures(whole));
  const paths = async (answer: typeof whole) =>
    (await answer)?.mappings.map(({ path }) => path).filter((path) => path?.startsWith('/')) ?? [];
  expect(await paths(whole)).toContain('/bin/busybox');
  for (const path of await paths(whole)) expect(await paths(made)).not.toContain(path);
  expect(await paths(made)).toHaveLength((await paths(whole)).length);
});

test('covers all processes, and excludes --pid', async () => {
  const words = ['--with-processes', '--pid', '1', '-o', join(folder, 'none'), '--vmcore'];
  expect(await kdumpMem('extract', ...words, labDump('6.1').elf)).toMatchObject({
    status: 2,
    stdout: '',
    stderr: expect.stringMatching(/^kdump-mem: [^\n]+\n$/),
  });
});
