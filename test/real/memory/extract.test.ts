import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { memorySchema } from '../../../src/contracts/memory.js';
import { kdumpMem } from '../../support/cli.js';
import { KERNELS, labDump, labKdump, ofRun } from '../../support/lab.js';

const folder = mkdtempSync(join(tmpdir(), 'memory-extract-'));
afterAll(() => rmSync(folder, { recursive: true }));

const memoryOf = async (file: string) => {
  const { stdout, stderr, status } = await kdumpMem('memory', '--all', '--json', '--vmcore', file);
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return memorySchema.parse(JSON.parse(stdout));
};

const extracted = async (file: string, name: string, ...options: readonly string[]) => {
  const small = join(folder, name);
  const ran = await kdumpMem('extract', '-o', small, '--with-memory', ...options, '--vmcore', file);
  expect(ran).toMatchObject({ stderr: '', status: 0 });
  return small;
};

describe('an extract with --with-memory gives the dump’s answers', () => {
  const dumps = [
    ...KERNELS.map((kernel) => [kernel, () => labDump(kernel).elf] as const),
    ...ofRun(['6.1-numa'] as const).map((name) => [name, () => labDump(name).elf] as const),
    ['6.12-arm64-16k', () => labDump('6.12-arm64-16k').elf] as const,
    ['6.1-kdump', () => labKdump('6.1').formats['lzo-d31'][0] ?? ''] as const,
  ];
  test.each(dumps)('%s', async (name, file) => {
    const small = await extracted(file(), `${name}.vmcore`);
    expect(await memoryOf(small)).toEqual(await memoryOf(file()));
    expect(statSync(small).size).toBeLessThan(5e6);
  });
});

test('an anonymous one has all figures, and no names of processes and files', async () => {
  const { elf } = labDump('6.1');
  const [whole, small] = [await memoryOf(elf), await memoryOf(await extracted(elf, 'a', '--anonymize'))];
  // Command of a process; each name in the path of a file.
  const NAMES = /("kind":"(?:process|file)","name"|"path"):"[^"]*"/g;
  const named = (text: string): readonly string[] =>
    text
      .match(NAMES)
      ?.flatMap((found) => found.split(/[/"]/).slice(-2, -1))
      .filter(Boolean) ?? [];
  const [before, after] = [whole, small].map((answer) => named(JSON.stringify(answer)));
  expect(before).toContain('busybox');
  expect(after).toHaveLength(before?.length ?? 0);
  // Sockets without a process have descriptions of our own.
  const ours = before?.filter((name) => name.startsWith('(')) ?? [];
  expect(after?.filter((name) => before?.includes(name))).toEqual(ours);
  const figures = (text: string) => text.replace(NAMES, '').replace(/"host":"[^"]*"/, '');
  expect(figures(JSON.stringify(small))).toBe(figures(JSON.stringify(whole)));
});

test('covers the whole machine, and excludes --pid', async () => {
  const { elf } = labDump('6.1');
  const options = ['--with-memory', '--pid', '1', '-o', join(folder, 'none'), '--vmcore', elf];
  expect(await kdumpMem('extract', ...options)).toMatchObject({ status: 2, stdout: '' });
});
