import { describe, expect, test } from 'vitest';
import { accountMemory, type MemoryPlaces } from '../../src/account/memory/memory.js';
import { findReferences } from '../../src/account/references/references.js';
import { searchReferences } from '../../src/account/references/search.js';
import { TargetFinder } from '../../src/account/references/targets.js';
import { AddressIdentifier } from '../../src/account/whatis.js';
import { unattributedSchema } from '../../src/answers/memory/unattributed/schema.js';
import { refsJson } from '../../src/answers/refs/render.js';
import { refsSchema } from '../../src/answers/refs/schema.js';
import { openImage } from '../../src/kernel/native/image/open.js';
import { openNative, openNativeImage } from '../../src/kernel/native/open.js';
import { Warnings } from '../../src/walk/warnings.js';
import { kdumpMem } from '../support/cli.js';
import { damagedImage } from '../support/damaged-image.js';
import { DRGN_MS, drgnJson } from '../support/drgn.js';
import { fixture } from '../support/fixtures.js';
import { LAB_KERNELS, labDump } from '../support/lab.js';

interface Drgn {
  readonly targets: readonly {
    readonly kind: 'object' | 'page' | 'area' | 'symbol';
    readonly address: string;
    readonly bytes: number;
    readonly pfn?: number;
  }[];
  /** Number of the target, physical address of the word, form. */
  readonly found: readonly (readonly [target: number, physical: number, form: string])[];
}

const SCRIPT = new URL('./refs.py', import.meta.url);

test.each([...LAB_KERNELS, '6.12-arm64-16k'] as const)(
  '%s: references are those that a search of all memory by drgn finds',
  async (name) => {
    const { elf } = labDump(name);
    const truth = drgnJson<Drgn>(elf, name, SCRIPT);
    const kernel = openNative({ files: [elf] });
    const warnings = new Warnings();
    const identifier = new AddressIdentifier(kernel, kernel.symbolTable, warnings);
    const finder = new TargetFinder(kernel, identifier, warnings);
    for (const { address, pfn } of truth.targets) {
      if (pfn === undefined) finder.addAddress(BigInt(address));
      else finder.addFrame(pfn);
    }
    const targets = finder.targets.index(kernel);
    const found = await findReferences(kernel, identifier, targets, 1e7, warnings);
    kernel.close();

    const targetsOf = (all: readonly { address: bigint; bytes: number }[]) =>
      all.map(({ address, bytes }) => `0x${address.toString(16)} ${bytes}`).toSorted();
    const numbers = Array.from({ length: targets.size }, (_, number) => number);
    const ours = numbers.map((number) => ({
      address: targets.addressOf(kernel, number),
      bytes: targets.at(number).length,
    }));
    expect(targetsOf(ours)).toEqual(
      targetsOf(truth.targets.map(({ address, bytes }) => ({ address: BigInt(address), bytes }))),
    );
    const line = (target: bigint, physical: number, form: string) =>
      `0x${target.toString(16)} ${physical} ${form}`;
    const expected = truth.found.map(([target, physical, form]) =>
      line(BigInt(truth.targets[target]!.address), physical, form),
    );
    const lines = found.references.map(({ target, holder, form }) =>
      line(ours[target]!.address, holder.physical ?? -1, form),
    );
    expect(lines.toSorted()).toEqual(expected.toSorted());
    expect(truth.targets.length).toBeGreaterThan(90);
    expect(expected.length).toBeGreaterThan(1000);
    expect(warnings.list()).toEqual([]);
    expect(found.scannedBytes).toBe(found.ramBytes);
    const { counts } = found;
    expect(counts.kernel + counts.user + counts.free + counts.target).toBe(expected.length);
  },
  2 * DRGN_MS,
);

describe('a dump of which a part is missing', () => {
  const { elf } = labDump('6.12');
  const whole = openNative({ files: [elf] });
  const { pageSize } = whole.facts;
  const tasks = { cache: 'task_struct' };

  /** The search without one page frame. */
  async function without(frame: number) {
    const image = openImage([elf]);
    const damaged = damagedImage(image, [
      { at: frame * pageSize, bytes: undefined, length: pageSize },
    ]);
    const kernel = openNativeImage(damaged);
    const found = await searchReferences(kernel, kernel.symbolTable, tasks, 1e6);
    kernel.close();
    return found;
  }

  test('makes the answer incomplete only where the kernel may have pointers', async () => {
    let ledger: MemoryPlaces['ledger'] | undefined;
    accountMemory(whole, undefined, { onPlaces: (places) => ({ ledger } = places) });
    const sound = await searchReferences(whole, whole.symbolTable, tasks, 1e6);
    expect(sound).toMatchObject({ complete: true, warnings: [] });
    expect(sound.found.unscanned).toEqual([]);
    // A page of another cache that refers to a task, and is no part of what identifies anything.
    const { holder } = sound.found.references.find(
      ({ source, holder: { object } }) =>
        source === 'kernel' && object?.kind === 'slab-object' && object.cache.startsWith('kmalloc'),
    )!;
    const ofKernel = await without(holder.frame!);
    expect(ofKernel.complete).toBe(false);
    expect(ofKernel.found.unscanned).toEqual([{ category: holder.category, bytes: pageSize }]);
    expect(ofKernel.found.scannedBytes).toBe(sound.found.scannedBytes - pageSize);
    expect(ofKernel.found.counts.kernel).toBeLessThan(sound.found.counts.kernel);
    expect(ofKernel.warnings.map(({ code }) => code)).toContain('unreadable');

    const [free] = ledger!.framesOf('free-buddy');
    const ofFree = await without(free!);
    expect(ofFree).toMatchObject({ complete: true, warnings: [] });
    expect(ofFree.found.unscanned).toEqual([{ category: 'free-buddy', bytes: pageSize }]);
    expect(ofFree.found.counts.kernel).toBe(sound.found.counts.kernel);
  });

  test('compressed pages and plain bytes have the same references', async () => {
    const plain = await searchReferences(whole, whole.symbolTable, tasks, 50);
    const packed = openNative({ files: [labDump('6.12').kdumpZlib] });
    const found = await searchReferences(packed, packed.symbolTable, tasks, 50);
    packed.close();
    expect(refsJson(found)).toEqual(refsJson(plain));
  });
});

test('as a command: text, JSON, and what is refused', async () => {
  const { elf } = labDump('6.12');
  const of = ['--vmcore', elf];
  const json = await kdumpMem('refs', 'init_task+0x10', '--json', '--limit', '3', ...of);
  const answer = refsSchema.parse(JSON.parse(json.stdout));
  expect(answer).toMatchObject({ targetCount: 1, unreferencedTargets: 0, complete: true });
  expect(answer.references).toHaveLength(3);
  expect(answer.scannedBytes).toBe(answer.ramBytes);
  const text = await kdumpMem('refs', 'init_task', ...of);
  expect(text).toMatchObject({ stderr: '', status: 0 });
  expect(text.stdout).toMatch(/^\d+ references from the kernel’s memory to 1 target\./);
  const many = await kdumpMem('refs', '--category', 'unattributed', '--json', ...of);
  const pages = refsSchema.parse(JSON.parse(many.stdout));
  const memory = await kdumpMem('memory', '--unattributed', '--json', ...of);
  const groups = unattributedSchema.parse(JSON.parse(memory.stdout));
  expect(groups.blocks).toBe(pages.targetCount);
  expect(groups.unreferencedBlocks).toBe(pages.unreferencedTargets);
  expect(groups.groups.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(groups.bytes);
  expect(groups.groups.reduce((sum, { references }) => sum + references, 0)).toBe(
    pages.counts.kernel,
  );
  const named = ({ holder, content }: (typeof groups.groups)[number]) =>
    holder !== null || content !== 'data';
  expect(groups.groups.filter((one) => one.bytes >= 65_536 && !named(one))).toEqual([]);

  const { vmcore } = fixture('6.12');
  for (const words of [
    ['refs', 'init_task'],
    ['memory', '--unattributed'],
  ])
    expect(await kdumpMem(...words, '--vmcore', vmcore)).toMatchObject({
      stdout: '',
      status: 3,
      stderr: expect.stringMatching(/^kdump-mem: extract: not supported by [^\n]+\n$/),
    });
  const statusOf = async (...words: string[]) => (await kdumpMem('refs', ...words, ...of)).status;
  expect(await statusOf()).toBe(2);
  expect(await statusOf('--category', 'nothing')).toBe(2);
  expect(await statusOf('--cache', 'nothing')).toBe(4);
  expect(await statusOf('no_such_symbol')).toBe(4);
  expect(await statusOf('init_task', 'init_task+0x10')).toBe(0);
});
