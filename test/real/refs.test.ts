import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { accountMemory, type MemoryPlaces } from '../../src/account/memory/memory.js';
import { findReferences } from '../../src/account/references/references.js';
import { searchReferences, TargetFinder } from '../../src/account/references/search.js';
import { AddressIdentifier } from '../../src/account/whatis.js';
import { refsAnswer } from '../../src/answers/refs/document.js';
import { jsonOf } from '../../src/base/util.js';
import { refsSchema } from '../../src/contracts/refs.js';
import { unattributedSchema } from '../../src/contracts/unattributed.js';
import { openImage } from '../../src/kernel/native/image/open.js';
import type { NativeKernel } from '../../src/kernel/native/kernel.js';
import { openNative, openNativeImage } from '../../src/kernel/native/open.js';
import { openDump } from '../../src/library/index.js';
import { kernelStacks } from '../../src/walk/memory/stacks.js';
import { Warnings } from '../../src/walk/warnings.js';
import { damagedImage } from '../support/damaged-image.js';
import { fixture } from '../support/fixtures.js';
import { kdumpMem } from '../support/in-process.js';
import { KERNELS, labDump } from '../support/lab.js';

/** Number of the range, physical address of the word, bytes from the start of the range. */
type Word = readonly [range: number, physical: number, into: number];

const WORDS = fileURLToPath(new URL('./refs.py', import.meta.url));

/** Some targets in each kind of memory. */
function someTargets(kernel: NativeKernel, finder: TargetFinder, identifier: AddressIdentifier) {
  const some = <Item>(all: Iterable<Item>, count: number) => {
    const list = [...all];
    const step = Math.max(1, Math.floor(list.length / count));
    return list.filter((_, index) => index % step === 0).slice(0, count);
  };
  for (const { task, stack } of some(kernelStacks(kernel), 20)) {
    finder.addAddress(task + 0x20n);
    finder.addAddress(stack + 0x100n);
  }
  for (const name of ['init_task', 'init_net', 'contig_page_data', 'jiffies', 'init_user_ns'])
    finder.addAddress(kernel.symbol(name) ?? 0xffff_ffff_ffff_0000n);
  const { ledger, areas } = identifier.places()!;
  for (const { address } of some(areas.all(), 60)
    .filter(({ owns }) => owns)
    .slice(0, 15))
    if (identifier.of(address).object?.kind === 'vmalloc-area') finder.addAddress(address);
  for (const category of ['unattributed', 'page-cache', 'page-tables', 'anonymous'] as const)
    for (const frame of some(ledger.framesOf(category), 15)) finder.addFrame(frame);
}

test.each([...KERNELS, '6.12-arm64-16k'] as const)(
  '%s: references are all words of the dump that point into a target',
  async (name) => {
    const { elf } = labDump(name);
    const kernel = openNative({ files: [elf] });
    const warnings = new Warnings();
    const identifier = new AddressIdentifier(kernel, kernel.symbolTable, warnings);
    const finder = new TargetFinder(kernel, identifier, warnings);
    someTargets(kernel, finder, identifier);
    const targets = finder.targets.index(kernel);
    const found = await findReferences(kernel, identifier, targets, 1e7, warnings);
    const { pageSize } = kernel.facts;
    const stride = BigInt(kernel.struct('page')!.size);
    const ranges: { number: number; isPage: boolean; first: bigint; end: bigint }[] = [];
    for (let number = 0; number < targets.size; number++) {
      const target = targets.at(number);
      const first = targets.addressOf(kernel, number);
      ranges.push({ number, isPage: false, first, end: first + BigInt(target.length) });
      if (!('complete' in target && target.complete)) continue;
      const page = kernel.pages.pageOfFrame(target.start / pageSize);
      const end = page + stride * BigInt(target.length / pageSize);
      ranges.push({ number, isPage: true, first: page, end });
    }
    kernel.close();
    const input = JSON.stringify(ranges.map(({ first, end }) => [first, end].map((one) => one.toString(16))));
    const printed = execFileSync('/usr/bin/python3', ['-I', WORDS, elf], { input, maxBuffer: 1 << 28 });
    const words = JSON.parse(printed.toString()) as Word[];
    const line = (target: number, physical: number, form: string) => `${target} ${physical} ${form}`;
    const expected = words.map(([range, physical, into]) => {
      const { number, isPage } = ranges[range]!;
      const form = into === 0 ? 'pointer' : into < 8 ? 'tagged' : 'interior';
      return line(number, physical, isPage ? 'page' : form);
    });
    const lines = found.references.map(({ target, holder, form }) => line(target, Number(holder.physical ?? -1), form));
    expect(lines.toSorted()).toEqual(expected.toSorted());
    expect(targets.size).toBeGreaterThan(90);
    expect(expected.length).toBeGreaterThan(1000);
    expect(warnings.list()).toEqual([]);
    expect(found.scannedBytes).toBe(found.ramBytes);
    const { counts } = found;
    expect(counts.kernel + counts.user + counts.free + counts.target).toBe(expected.length);
  },
);

describe('a dump with a missing part', () => {
  const { elf } = labDump('6.1');
  const whole = openNative({ files: [elf] });
  const { pageSize } = whole.facts;
  const tasks = { cache: 'task_struct' };

  /** The search without one page frame. */
  async function without(frame: number) {
    const image = openImage([elf]);
    const damaged = damagedImage(image, [{ at: frame * pageSize, bytes: undefined, length: pageSize }]);
    const kernel = openNativeImage(damaged);
    const found = await searchReferences(kernel, kernel.symbolTable, tasks, 1e6);
    kernel.close();
    return found;
  }

  test('is incomplete only if the part may contain kernel pointers', async () => {
    let ledger: MemoryPlaces['ledger'] | undefined;
    accountMemory(whole, undefined, { onPlaces: (places) => ({ ledger } = places) });
    const sound = await searchReferences(whole, whole.symbolTable, tasks, 1e6);
    expect(sound).toMatchObject({ complete: true, warnings: [] });
    expect(sound.found.unscanned).toEqual([]);
    // A page of another cache that refers to a task, and is not needed to identify any object.
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
    const packed = openNative({ files: [labDump('6.1').kdumpZlib] });
    const found = await searchReferences(packed, packed.symbolTable, tasks, 50);
    packed.close();
    expect(refsAnswer(found)).toEqual(refsAnswer(plain));
    using dump = openDump(elf);
    expect(await dump.refs(tasks, 50)).toEqual(jsonOf(refsAnswer(plain)));
  });
});

test('as a command: text, JSON, and refused options', async () => {
  const { elf } = labDump('6.1');
  const of = ['--vmcore', elf];
  const json = await kdumpMem('refs', 'init_task+0x10', '--json', '--limit', '3', ...of);
  const answer = refsSchema.parse(JSON.parse(json.stdout));
  expect(answer).toMatchObject({ targetCount: 1, unreferencedTargets: 0, complete: true });
  expect(answer.references).toHaveLength(3);
  expect(answer.scannedBytes).toBe(answer.ramBytes);
  const text = await kdumpMem('refs', 'init_task', ...of);
  expect(text).toMatchObject({ stderr: '', status: 0 });
  expect(text.stdout).toMatch(/^\d+ references from the kernel’s memory to 1 target \([\d,]+ bytes at 0x[\da-f]+\)\./);
  // References inside the target are counted, and listed in JSON only.
  expect(text.stdout).toContain('inside the target itself (listed with --json)');
  expect(text.stdout).not.toContain('task_struct.stack_refcount');
  const many = await kdumpMem('refs', '--category', 'unattributed', '--json', ...of);
  const pages = refsSchema.parse(JSON.parse(many.stdout));
  const memory = await kdumpMem('memory', '--unattributed', '--json', ...of);
  const groups = unattributedSchema.parse(JSON.parse(memory.stdout));
  expect(groups.blocks).toBe(pages.targetCount);
  expect(groups.unreferencedBlocks).toBe(pages.unreferencedTargets);
  expect(groups.groups.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(groups.bytes);
  expect(groups.groups.reduce((sum, { references }) => sum + references, 0)).toBe(pages.counts.kernel);
  const named = ({ holder, content }: (typeof groups.groups)[number]) => holder !== null || content !== 'data';
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
