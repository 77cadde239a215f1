import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { searchReferences } from '../../../src/account/references/search.js';
import { describeUnreachable } from '../../../src/account/references/unreachable.js';
import { AddressIdentifier } from '../../../src/account/whatis.js';
import { type UnreachableAnswer, unreachableSchema } from '../../../src/contracts/unreachable.js';
import { openImage } from '../../../src/kernel/native/image/open.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { openNative, openNativeImage } from '../../../src/kernel/native/open.js';
import { SlabCacheNames } from '../../../src/walk/pages/slab-caches.js';
import { StructReader } from '../../../src/walk/struct-reader.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { damagedImage, type PhysicalPatch } from '../../support/damaged-image.js';
import { fixture } from '../../support/fixtures.js';
import { kdumpMem } from '../../support/in-process.js';
import { KERNELS, labDump, labKdump, PANICKED_KERNELS } from '../../support/lab.js';

const WORDS = fileURLToPath(new URL('../refs.py', import.meta.url));

/** Number of the range, physical address of the word. */
type Word = readonly [range: number, physical: number];

const find = (kernel: NativeKernel): Promise<UnreachableAnswer> =>
  describeUnreachable(kernel, kernel.symbolTable, () => () => {});

/** Whether a word is in the array of free objects of a cache (`struct slab_sheaf`). */
function isInSheaf(kernel: NativeKernel, physical: number, cache: string | null): boolean {
  const sheaf = StructReader.ifPresent(kernel, 'slab_sheaf', ['cache']);
  const { pageSize } = kernel.facts;
  const address = kernel.pages.addressOfFrame(Math.floor(physical / pageSize))!;
  const { object } = new AddressIdentifier(kernel, kernel.symbolTable, new Warnings()).of(
    address + BigInt(physical % pageSize),
  );
  if (!sheaf || object?.kind !== 'slab-object') return false;
  return new SlabCacheNames(kernel).of(sheaf.read(object.start).pointer('cache')).name === cache;
}

describe.each([...KERNELS, '6.12-arm64-16k'] as const)('a machine of %s without leaks', (name) => {
  const { elf } = labDump(name);

  test('each unreachable allocation has a known reason, and no word refers to it', async () => {
    const kernel = openNative({ files: [elf] });
    const found = await find(kernel);
    expect(found).toMatchObject({ complete: true, warnings: [], undecided: 0, unreadBytes: 0 });
    expect(found.searched.allocations).toBeGreaterThan(30_000);
    expect(found.groups.filter(({ reason }) => reason === null)).toEqual([]);
    expect(found.unreachable).toEqual({ allocations: 0, bytes: 0 });
    expect(found.explained?.bytes).toBeLessThan(400_000);

    // Words of the dump that point into an allocation, or to its struct page, found by a separate
    // program.
    const stride = BigInt(kernel.struct('page')!.size);
    const ranges = found.groups
      .filter(({ referencedBy }) => referencedBy === 'nothing')
      .flatMap(({ kind, name: cache, size, examples }) =>
        examples.flatMap((start) => {
          const page = kernel.pages.pageOf(start)!;
          const own = { cache, start, end: start + BigInt(size) };
          return kind === 'pages' ? [own, { cache, start: page, end: page + stride }] : [own];
        }),
      );
    const input = JSON.stringify(ranges.map(({ start, end }) => [start.toString(16), end.toString(16)]));
    const printed = execFileSync('/usr/bin/python3', ['-I', WORDS, elf], { input });
    const words = JSON.parse(printed.toString()) as Word[];
    const others = words.filter(([number, physical]) => {
      const { start, end, cache } = ranges[number]!;
      const isIn = [start, end - 1n].map((at) => kernel.physicalOf(at) ?? -1);
      const isOwn = physical >= isIn[0]! && physical <= isIn[1]!;
      return !isOwn && !isInSheaf(kernel, physical, cache);
    });
    kernel.close();
    expect(ranges.length).toBeGreaterThan(7);
    expect(others).toEqual([]);
  });
});

describe('a damaged dump', () => {
  const { elf } = labDump('newest');

  /** The answer for the same dump with damage. */
  async function damaged(...patches: PhysicalPatch[]): Promise<UnreachableAnswer> {
    const kernel = openNativeImage(damagedImage(openImage([elf]), patches));
    const found = await find(kernel);
    kernel.close();
    return found;
  }

  test('without the only pointer to an object lists the object and its dependents', async () => {
    const kernel = openNative({ files: [elf] });
    const cache = 'kmalloc-64';
    const { found, targetAt } = await searchReferences(kernel, kernel.symbolTable, { cache }, 1_000_000);
    kernel.close();
    const only = found.references.filter(
      ({ source, target, form, holder: { object } }) =>
        found.perTarget[target] === 1 &&
        source === 'kernel' &&
        form === 'pointer' &&
        object?.kind === 'slab-object' &&
        object.cache.startsWith('kmalloc'),
    );
    // A pointer may also be one that another count reads, as a bucket of the neighbour table: that
    // answer is incomplete, and names it.
    let complete = 0;
    for (const part of [0.3, 0.5, 0.7]) {
      const { holder, target } = only[Math.floor(only.length * part)]!;
      const { address } = targetAt(target);
      const answer = await damaged({ at: Number(holder.physical), bytes: new Uint8Array(8) });
      const codes = answer.warnings.map(({ code }) => code);
      expect(codes.length > 0, codes.join()).toBe(!answer.complete);
      if (!answer.complete) continue;
      complete += 1;
      const [first, ...rest] = answer.groups
        .filter(({ reason }) => reason === null)
        .toSorted((a, b) => (a.referencedBy < b.referencedBy ? -1 : 1));
      expect(first).toMatchObject({ name: cache, allocations: 1, bytes: 64, examples: [address] });
      expect(first?.referencedBy).toBe('nothing');
      for (const { referencedBy } of rest) expect(referencedBy).toBe('unreachable');
    }
    expect(complete).toBeGreaterThan(0);
  });

  test('without a page that may contain references is incomplete', async () => {
    const kernel = openNative({ files: [elf] });
    const [holder] = (
      await searchReferences(kernel, kernel.symbolTable, { cache: 'task_struct' }, 1_000_000)
    ).found.references.filter(
      ({ source, holder: { object } }) =>
        source === 'kernel' && object?.kind === 'slab-object' && object.cache.startsWith('kmalloc'),
    );
    kernel.close();
    const at = holder!.holder.frame! * 4096;
    const answer = await damaged({ at, bytes: undefined, length: 4096 });
    expect(answer).toMatchObject({ complete: false, unreadBytes: 4096 });
    expect(answer.warnings.map(({ code }) => code)).toContain('unreadable');
  });

  test('over-filtered by makedumpfile has no list; a correct one is complete', async () => {
    for (const name of PANICKED_KERNELS) {
      const isComplete = name !== 'newest';
      const kernel = openNative({ files: labKdump(name).formats['zlib-d31'] });
      const found = await find(kernel);
      kernel.close();
      expect(found.complete, name).toBe(isComplete);
      expect(found.unreachable, name).toEqual(isComplete ? { allocations: 0, bytes: 0 } : null);
      expect(found.groups.length > 0, name).toBe(isComplete);
    }
  });
});

test('as a command: text, JSON, and refused options', async () => {
  const { elf } = labDump('newest');
  const run = (...words: string[]) => kdumpMem('memory', '--unreachable', ...words);
  const json = await run('--json', '--vmcore', elf);
  expect(json).toMatchObject({ stderr: '', status: 0 });
  const answer = unreachableSchema.parse(JSON.parse(json.stdout));
  const kernel = openNative({ files: [elf] });
  expect(answer).toEqual(await find(kernel));
  kernel.close();
  const text = await run('-v', '--vmcore', elf);
  expect(text).toMatchObject({ stderr: '', status: 0 });
  expect(text.stdout).toMatch(/^No suspected leak\. Checked: [\d,]+ allocations, [^(]+ \([^)]+\)\.\n/);
  expect(text.stdout).toMatch(/\n\d+ \(\d+ KiB\) are unreachable, but not suspected: \d+ /);
  const { vmcore } = fixture('6.12');
  expect(await run('--vmcore', vmcore)).toMatchObject({
    stdout: '',
    status: 3,
    stderr: expect.stringMatching(/^kdump-mem: extract: not supported by [^\n]+\n$/),
  });
  expect(await run('--live')).toMatchObject({ stdout: '', status: 2 });
  expect(await run('--unattributed', '--vmcore', elf)).toMatchObject({ stdout: '', status: 2 });
});
